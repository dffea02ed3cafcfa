// Command release builds everything in a release, as .goreleaser.yaml describes it, and publishes nothing: programs, archives, packages,
// lists of what is in the programs (SBOM), images, and checksums. It needs no network and none of the hundreds of modules that GoReleaser consists
// of. With -images it makes only the images, from archives that GoReleaser has built.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	root := flags.String("root", ".", "the repository")
	version := flags.String("version", "", "the version, without v")
	out := flags.String("out", "", "the folder for what is built, which is emptied first but for -images")
	only := flags.String("only", "", "build for these platforms only, such as linux/amd64,linux/arm64")
	images := flags.Bool("images", false, "make only images, of the archives in the folder")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return err
	}
	if *version == "" || *out == "" {
		return fmt.Errorf("-version and -out are missing")
	}
	folder, err := filepath.Abs(*out)
	if err != nil {
		return err
	}
	if err := os.Chdir(*root); err != nil { // the paths in .goreleaser.yaml start there
		return err
	}
	p, err := readProject(".goreleaser.yaml")
	if err != nil {
		return err
	}
	if *images {
		return p.writeImages(folder, *version)
	}
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // the results are for everyone
		return err
	}
	targets, err := p.targets(*only)
	if err != nil {
		return err
	}
	for _, t := range targets {
		name := filepath.Join(folder, p.stem(t, *version))
		_, _ = fmt.Fprintln(os.Stdout, name)
		if err := p.makeAll(ctx, t, *version, name); err != nil {
			return fmt.Errorf("%s/%s: %w", t.os, t.arch, err)
		}
	}
	return p.finish(folder, *version, targets)
}

// makeAll makes all files for one platform. The name is that of the files, without their suffixes.
func (p *project) makeAll(ctx context.Context, t target, version, name string) error {
	scratch, err := os.MkdirTemp("", "release")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	program := filepath.Join(scratch, p.programName(t))
	if err := p.compile(ctx, t, version, program); err != nil {
		return err
	}
	return p.pack(ctx, t, version, program, name)
}

// pack makes what the program for a platform is distributed in, and the list of its components.
func (p *project) pack(ctx context.Context, t target, version, program, name string) error {
	if err := p.writeSBOM(ctx, t, version, program, filepath.Dir(name)); err != nil {
		return err
	}
	if err := writeArchive(name+"."+p.archiveFormat(t), append([]string{program}, p.Archives[0].Files...)); err != nil {
		return err
	}
	if t.os != "linux" {
		return nil
	}
	return p.writePackages(t, version, program, name)
}

// finish makes what consists of several platforms' files.
func (p *project) finish(folder, version string, targets []target) error {
	if slices.ContainsFunc(targets, func(t target) bool { return t.os == "linux" }) {
		if err := p.writeImages(folder, version); err != nil {
			return err
		}
	}
	return writeChecksums(folder, p.Checksum.Name)
}
