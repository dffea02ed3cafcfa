package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// compile builds the program, stamped with the version.
func (p *project) compile(ctx context.Context, t target, version, program string) error {
	b := p.build()
	args := append([]string{"build", "-o", program}, b.Flags...)
	args = append(args, "-ldflags", strings.ReplaceAll(strings.Join(b.Ldflags, " "), "{{ .Version }}", version), b.Main)
	return command(ctx, "", append([]string{"GOOS=" + t.os, "GOARCH=" + t.arch}, b.Env...), "go", args...)
}

// writeSBOM lists what is in the program. GoReleaser would run the command in a folder one below the repository's, and so it is here.
func (p *project) writeSBOM(ctx context.Context, t target, version, program, folder string) error {
	const place = "bin"
	if err := os.MkdirAll(place, 0o755); err != nil { //nolint:gosec // what is built is for everyone
		return err
	}
	s := p.SBOMs[0]
	names := strings.NewReplacer("{{ .Version }}", version, "{{ .Os }}", t.os, "{{ .Arch }}", t.arch)
	document := filepath.Join(folder, names.Replace(s.Documents[0]))
	values := strings.NewReplacer("{{ .Version }}", version, "$document", document, "$artifact", program)
	args := make([]string, len(s.Args))
	for i, arg := range s.Args {
		args[i] = values.Replace(arg)
	}
	return command(ctx, place, nil, s.Cmd, args...)
}

// command runs a program in a folder, whose errors the user must see.
func command(ctx context.Context, folder string, environ []string, name string, args ...string) error {
	c := exec.CommandContext(ctx, name, args...) //nolint:gosec // this program names what it runs
	c.Dir, c.Env = folder, append(c.Environ(), environ...)
	c.Stderr = os.Stderr
	return c.Run()
}
