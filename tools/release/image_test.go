package main

import (
	"archive/tar"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// The images of a release have the archives' programs and a folder for keys that any user of group 0 may write to, run as an
// arbitrary user, and are the same however often they are made.
func TestImages(t *testing.T) {
	t.Parallel()
	p, err := readProject("../../.goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	program := filepath.Join(t.TempDir(), p.build().Binary)
	for _, arch := range []string{"amd64", "arm64"} {
		if err := os.WriteFile(program, []byte("the program for "+arch), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := writeArchive(filepath.Join(folder, "latchkey_0.1.0_linux_"+arch+".tar.gz"), []string{program}); err != nil {
			t.Fatal(err)
		}
	}
	var digests []v1.Hash
	for range 2 {
		if err := p.writeImages(folder, "0.1.0"); err != nil {
			t.Fatal(err)
		}
		all, err := layout.ImageIndexFromPath(filepath.Join(folder, "image"))
		if err != nil {
			t.Fatal(err)
		}
		digest, err := all.Digest()
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, digest)
		images, err := partial.FindImages(all, func(d v1.Descriptor) bool { return d.Platform != nil && d.Platform.OS == "linux" })
		if err != nil || len(images) != 2 {
			t.Fatalf("%d images, %v", len(images), err)
		}
	}
	if digests[0] != digests[1] {
		t.Errorf("made twice, the images are %v", digests)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		image, err := tarball.ImageFromPath(filepath.Join(folder, "latchkey_0.1.0_linux_"+arch+"_image.tar"), nil)
		if err != nil {
			t.Fatal(err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if c := config.Config; config.Architecture != arch || config.OS != "linux" || c.User != "65532:65532" || c.WorkingDir != "/latchkey" ||
			!slices.Equal(c.Entrypoint, []string{"/usr/bin/latchkey"}) || !slices.Equal(c.Cmd, []string{"serve"}) || c.Labels["org.opencontainers.image.version"] != "v0.1.0" {
			t.Errorf("%s: %+v", arch, config)
		}
		files := filesOf(t, image)
		if got := files["usr/bin/latchkey"]; got.content != "the program for "+arch || got.mode != 0o755 {
			t.Errorf("%s: the program is %q, mode %o", arch, got.content, got.mode)
		}
		if got := files["latchkey/var/"]; got.mode != 0o770 || got.user != 65532 || got.group != 0 {
			t.Errorf("%s: the folder for keys is %+v", arch, got)
		}
		if len(files) != 5 {
			t.Errorf("%s: it has %d files: %v", arch, len(files), files)
		}
	}
	if err := p.writeImages(folder, "0.2.0"); err == nil {
		t.Error("images were made of a version without archives")
	}
}

type imageFile struct {
	content           string
	mode, user, group int
}

func filesOf(t *testing.T, image v1.Image) map[string]imageFile {
	t.Helper()
	layers, err := image.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	plain, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = plain.Close() }()
	files := map[string]imageFile{}
	for archive := tar.NewReader(plain); ; {
		header, err := archive.Next()
		if err == io.EOF { //nolint:errorlint // tar returns it as it is
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = imageFile{string(content), int(header.Mode), header.Uid, header.Gid}
	}
}
