package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	"go.yaml.in/yaml/v3"
)

// project is the part of .goreleaser.yaml that is used.
type project struct {
	Name     string  `yaml:"project_name"`
	Builds   []build `yaml:"builds"`
	Archives []struct {
		Formats   []string `yaml:"formats"`
		Overrides []struct {
			OS      string   `yaml:"goos"`
			Formats []string `yaml:"formats"`
		} `yaml:"format_overrides"`
		Files []string `yaml:"files"`
	} `yaml:"archives"`
	Packages []packages `yaml:"nfpms"`
	SBOMs    []sbom     `yaml:"sboms"`
	Checksum struct {
		Name string `yaml:"name_template"`
	} `yaml:"checksum"`
}

type build struct {
	Main    string   `yaml:"main"`
	Binary  string   `yaml:"binary"`
	Env     []string `yaml:"env"`
	Flags   []string `yaml:"flags"`
	Ldflags []string `yaml:"ldflags"`
	OS      []string `yaml:"goos"`
	Arch    []string `yaml:"goarch"`
	Ignore  []struct {
		OS   string `yaml:"goos"`
		Arch string `yaml:"goarch"`
	} `yaml:"ignore"`
}

// sbom is a program that lists what is in another.
type sbom struct {
	Cmd       string   `yaml:"cmd"`
	Args      []string `yaml:"args"`
	Documents []string `yaml:"documents"`
}

// packages is what GoReleaser hands to nfpm, whose names for it are the same except for
// these.
type packages struct {
	nfpm.Info `yaml:",inline"`
	Package   string   `yaml:"package_name"`
	Formats   []string `yaml:"formats"`
	Bindir    string   `yaml:"bindir"`
	Overrides map[string]struct {
		Dependencies []string `yaml:"dependencies"`
		Recommends   []string `yaml:"recommends"`
	} `yaml:"overrides"`
}

// target is a platform.
type target struct{ os, arch string }

func readProject(path string) (*project, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var p project
	if err := yaml.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(p.Builds) != 1 || len(p.Archives) != 1 || len(p.Packages) != 1 || len(p.SBOMs) != 1 || len(p.SBOMs[0].Documents) != 1 {
		return nil, fmt.Errorf("%s: want one element each in builds, archives, nfpms, sboms and its documents", path)
	}
	return &p, nil
}

func (p *project) build() *build { return &p.Builds[0] }

// programName is that of the file that is run.
func (p *project) programName(t target) string {
	if t.os == "windows" {
		return p.build().Binary + ".exe"
	}
	return p.build().Binary
}

// stem is what the names of a platform's files begin with.
func (p *project) stem(t target, version string) string {
	return strings.Join([]string{p.Name, version, t.os, t.arch}, "_")
}

// archiveFormat is that of the archive for a platform: the suffix of its name.
func (p *project) archiveFormat(t target) string {
	for _, o := range p.Archives[0].Overrides {
		if o.OS == t.os {
			return o.Formats[0]
		}
	}
	return p.Archives[0].Formats[0]
}

// targets lists the platforms, or only those named in only.
func (p *project) targets(only string) ([]target, error) {
	var all []target
	for _, system := range p.build().OS {
		for _, arch := range p.build().Arch {
			ignored := false
			for _, i := range p.build().Ignore {
				ignored = ignored || i.OS == system && i.Arch == arch
			}
			if !ignored {
				all = append(all, target{system, arch})
			}
		}
	}
	if only == "" {
		return all, nil
	}
	var some []target
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(all, func(t target) bool { return t.os+"/"+t.arch == name })
		if i < 0 {
			return nil, fmt.Errorf("-only: %s is not a platform of .goreleaser.yaml", name)
		}
		some = append(some, all[i])
	}
	return some, nil
}
