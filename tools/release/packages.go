package main

import (
	"fmt"
	"os"
	"path"
	"slices"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // a format of packages
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm" // a format of packages
)

// writePackages makes a package of each format.
func (p *project) writePackages(t target, version, program, name string) error {
	for _, format := range p.Packages[0].Formats {
		if err := p.writePackage(format, t, version, program, name+"."+format); err != nil {
			return fmt.Errorf("%s: %w", format, err)
		}
	}
	return nil
}

func (p *project) writePackage(format string, t target, version, program, name string) error {
	packager, err := nfpm.Get(format)
	if err != nil {
		return err
	}
	info := p.Packages[0].Info
	info.Name, info.Arch, info.Platform, info.Version = p.Packages[0].Package, t.arch, t.os, version
	if override, found := p.Packages[0].Overrides[format]; found {
		info.Depends, info.Recommends = override.Dependencies, override.Recommends
	}
	// Packaging changes the list and its items.
	info.Contents = nil
	for _, content := range append(slices.Clone(p.Packages[0].Contents), &files.Content{
		Source: program, Destination: path.Join(p.Packages[0].Bindir, p.build().Binary), FileInfo: &files.ContentFileInfo{Mode: 0o755},
	}) {
		one, fileInfo := *content, *content.FileInfo
		one.FileInfo = &fileInfo
		info.Contents = append(info.Contents, &one)
	}
	if err := nfpm.PrepareForPackager(nfpm.WithDefaults(&info), format); err != nil {
		return err
	}
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if err := packager.Package(&info, file); err != nil {
		return err
	}
	return file.Close()
}
