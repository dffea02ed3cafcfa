package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// writeArchive packs files, without their folders: as a zip if the name ends in that, otherwise as a tar.gz.
func writeArchive(name string, paths []string) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	pack := packTar
	if strings.HasSuffix(name, ".zip") {
		pack = packZip
	}
	if err := pack(file, paths); err != nil {
		return err
	}
	return file.Close()
}

func packTar(w io.Writer, paths []string) error {
	compressed := gzip.NewWriter(w)
	archive := tar.NewWriter(compressed)
	err := addFiles(paths, func(info fs.FileInfo) (io.Writer, error) {
		// Nothing about the machine's user.
		return archive, archive.WriteHeader(&tar.Header{Name: info.Name(), Mode: int64(info.Mode().Perm()), Size: info.Size(), ModTime: info.ModTime()})
	})
	return errors.Join(err, archive.Close(), compressed.Close())
}

func packZip(w io.Writer, paths []string) error {
	archive := zip.NewWriter(w)
	err := addFiles(paths, func(info fs.FileInfo) (io.Writer, error) {
		header, err := zip.FileInfoHeader(info)
		if err != nil {
			return nil, err
		}
		header.Method = zip.Deflate
		return archive.CreateHeader(header)
	})
	return errors.Join(err, archive.Close())
}

// addFiles copies each file to where next says.
func addFiles(paths []string, next func(fs.FileInfo) (io.Writer, error)) error {
	for _, path := range paths {
		if err := addFile(path, next); err != nil {
			return err
		}
	}
	return nil
}

func addFile(path string, next func(fs.FileInfo) (io.Writer, error)) error {
	file, err := os.Open(filepath.Clean(path))
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	to, err := next(info)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, file)
	return err
}
