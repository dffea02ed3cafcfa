package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A release has an archive and a list of components for each platform, packages and images for Linux, and a checksum of each file.
//
// It is not parallel: it changes the working directory.
func TestRelease(t *testing.T) {
	folder, program := t.TempDir(), filepath.Join(t.TempDir(), "program")
	if err := command(t.Context(), "testdata/program", []string{"CGO_ENABLED=0"}, "go", "build", "-o", program, "."); err != nil {
		t.Fatal(err)
	}
	t.Chdir("../..") // the paths in .goreleaser.yaml start there
	p, err := readProject(".goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	targets, err := p.targets("")
	if err != nil {
		t.Fatal(err)
	}
	for _, platform := range targets {
		named := filepath.Join(t.TempDir(), p.programName(platform))
		if err := os.Link(program, named); err != nil {
			t.Fatal(err)
		}
		if err := p.pack(t.Context(), platform, "0.1.0", named, filepath.Join(folder, p.stem(platform, "0.1.0"))); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.finish(folder, "0.1.0", targets); err != nil {
		t.Fatal(err)
	}

	want := []string{
		"checksums.txt", "image/",
		"latchkey_0.1.0_darwin_amd64.cdx.json", "latchkey_0.1.0_darwin_amd64.tar.gz",
		"latchkey_0.1.0_darwin_arm64.cdx.json", "latchkey_0.1.0_darwin_arm64.tar.gz",
		"latchkey_0.1.0_linux_amd64.cdx.json", "latchkey_0.1.0_linux_amd64.deb", "latchkey_0.1.0_linux_amd64.rpm",
		"latchkey_0.1.0_linux_amd64.tar.gz", "latchkey_0.1.0_linux_amd64_image.tar",
		"latchkey_0.1.0_linux_arm64.cdx.json", "latchkey_0.1.0_linux_arm64.deb", "latchkey_0.1.0_linux_arm64.rpm",
		"latchkey_0.1.0_linux_arm64.tar.gz", "latchkey_0.1.0_linux_arm64_image.tar",
		"latchkey_0.1.0_windows_amd64.cdx.json", "latchkey_0.1.0_windows_amd64.zip",
	}
	names := namesIn(t, folder)
	if !slices.Equal(names, want) {
		t.Fatalf("the release has\n%q, want\n%q", names, want)
	}

	sums := map[string]string{}
	for line := range strings.Lines(readFile(t, filepath.Join(folder, "checksums.txt"))) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		sums[name] = sum
	}
	wantSums := map[string]string{}
	for _, name := range names {
		if name != "checksums.txt" && !strings.HasSuffix(name, "/") {
			sum := sha256.Sum256([]byte(readFile(t, filepath.Join(folder, name))))
			wantSums[name] = hex.EncodeToString(sum[:])
		}
	}
	if !maps.Equal(sums, wantSums) {
		t.Errorf("the checksums are %v, want %v", sums, wantSums)
	}

	for _, platform := range targets {
		stem := filepath.Join(folder, p.stem(platform, "0.1.0"))
		wantModes := map[string]fs.FileMode{p.programName(platform): 0o755, "LICENSE": 0, "README.md": 0, "CHANGELOG.md": 0}
		files := archived(t, stem+"."+p.archiveFormat(platform))
		for name, file := range files {
			if mode, ok := wantModes[name]; !ok || mode != 0 && file.mode != mode {
				t.Errorf("%s: it has %s, with mode %o", stem, name, file.mode)
			}
		}
		if len(files) != len(wantModes) || files[p.programName(platform)].content != readFile(t, program) || files["LICENSE"].content != readFile(t, "LICENSE") {
			t.Errorf("%s: it has %d files, or other content", stem, len(files))
		}
		var components struct {
			BOMFormat string `json:"bomFormat"`
			Metadata  struct {
				Component struct {
					Version string `json:"version"`
				} `json:"component"`
			} `json:"metadata"`
		}
		if err := json.Unmarshal([]byte(readFile(t, stem+".cdx.json")), &components); err != nil {
			t.Fatal(err)
		}
		if got := components.Metadata.Component; components.BOMFormat != "CycloneDX" || got.Version != "v0.1.0" {
			t.Errorf("%s: the components are those of version %s, in the format %s", stem, got.Version, components.BOMFormat)
		}
	}
}

func namesIn(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() {
			name += "/"
		}
		names = append(names, name)
	}
	return names
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

type archivedFile struct {
	content string
	mode    fs.FileMode
}

// archived returns the files in an archive.
func archived(t *testing.T, path string) map[string]archivedFile {
	t.Helper()
	files := map[string]archivedFile{}
	add := func(name string, info fs.FileInfo, from io.Reader) {
		content, err := io.ReadAll(from)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = archivedFile{string(content), info.Mode().Perm()}
	}
	if strings.HasSuffix(path, ".zip") {
		archive, err := zip.OpenReader(path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = archive.Close() }()
		for _, file := range archive.File {
			content, err := file.Open()
			if err != nil {
				t.Fatal(err)
			}
			add(file.Name, file.FileInfo(), content)
		}
		return files
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	plain, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for archive := tar.NewReader(plain); ; {
		header, err := archive.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		add(header.Name, header.FileInfo(), archive)
	}
}
