package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	registry = "ghcr.io/latchkey-sessions/"
	// imageUser owns the folder for keys. With a number, Kubernetes' runAsNonRoot can verify that it is
	// not root.
	imageUser = 65532
	workDir   = "/latchkey"
)

// writeImages makes an image of each archive for Linux in the folder: NAME_image.tar for `docker load`. The folder image has all of them
// as one multi-platform image, in OCI layout, for a registry. So images contain the same programs as the archives.
func (p *project) writeImages(folder, version string) error {
	archives, err := filepath.Glob(filepath.Join(folder, strings.Join([]string{p.Name, version, "linux", "*.tar.gz"}, "_")))
	if err != nil || len(archives) == 0 {
		return errors.Join(err, fmt.Errorf("%s has no archive for Linux of version %s", folder, version))
	}
	tag, err := name.NewTag(registry + p.Name + ":" + version)
	if err != nil {
		return err
	}
	all := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, archive := range archives {
		stem := strings.TrimSuffix(archive, ".tar.gz")
		platform := &v1.Platform{OS: "linux", Architecture: stem[strings.LastIndexByte(stem, '_')+1:]}
		image, err := p.image(archive, version, platform)
		if err != nil {
			return fmt.Errorf("%s: %w", archive, err)
		}
		if err := tarball.WriteToFile(stem+"_image.tar", tag, image); err != nil {
			return err
		}
		all = mutate.AppendManifests(all, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: platform}})
	}
	_, err = layout.Write(filepath.Join(folder, "image"), all)
	return err
}

// image has the archive's program and the folder for its keys, and nothing below them: the program is static, and has root certificates.
func (p *project) image(archive, version string, platform *v1.Platform) (v1.Image, error) {
	header, program, err := fileIn(archive, p.build().Binary)
	if err != nil {
		return nil, err
	}
	var content bytes.Buffer
	files := tar.NewWriter(&content)
	add := func(h tar.Header, content []byte) {
		h.ModTime, h.Size = header.ModTime, int64(len(content))
		err = errors.Join(err, files.WriteHeader(&h))
		_, wrong := files.Write(content)
		err = errors.Join(err, wrong)
	}
	add(tar.Header{Typeflag: tar.TypeDir, Name: "usr/", Mode: 0o755}, nil)
	add(tar.Header{Typeflag: tar.TypeDir, Name: "usr/bin/", Mode: 0o755}, nil)
	add(tar.Header{Typeflag: tar.TypeReg, Name: "usr/bin/" + header.Name, Mode: 0o755}, program)
	// A new named volume that is mounted on var inherits its owner and mode. The group is root's, and may write: OpenShift runs
	// images as an arbitrary user in that group.
	for _, folder := range []string{workDir[1:] + "/", workDir[1:] + "/var/"} {
		add(tar.Header{Typeflag: tar.TypeDir, Name: folder, Mode: 0o770, Uid: imageUser}, nil)
	}
	if err = errors.Join(err, files.Close()); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON), layer)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = platform.OS, platform.Architecture, v1.Time{Time: header.ModTime}
	config.Config = v1.Config{
		User: fmt.Sprintf("%d:%[1]d", imageUser), WorkingDir: workDir, Entrypoint: []string{"/usr/bin/" + header.Name}, Cmd: []string{"serve"},
		ExposedPorts: map[string]struct{}{"8080/tcp": {}, "8081/tcp": {}},
		Labels: map[string]string{
			"org.opencontainers.image.title": p.Name, "org.opencontainers.image.version": "v" + version,
			"org.opencontainers.image.source": p.Packages[0].Homepage, "org.opencontainers.image.licenses": p.Packages[0].License,
		},
	}
	return mutate.ConfigFile(image, config)
}

// fileIn returns a file of a compressed archive.
func fileIn(archive, name string) (*tar.Header, []byte, error) {
	file, err := os.Open(archive)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = file.Close() }()
	plain, err := gzip.NewReader(file)
	if err != nil {
		return nil, nil, err
	}
	for files := tar.NewReader(plain); ; {
		header, err := files.Next()
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		if header.Name == name {
			content, err := io.ReadAll(files)
			return header, content, err
		}
	}
}
