package main

import (
	"context"
	"os"
	"os/exec"
	"strings"
)

// compile builds the program, stamped with the version.
func (p *project) compile(ctx context.Context, t target, version, program string) error {
	b := p.build()
	args := append([]string{"build", "-o", program}, b.Flags...)
	args = append(args, "-ldflags", strings.ReplaceAll(strings.Join(b.Ldflags, " "), "{{ .Version }}", version), b.Main)
	return command(ctx, append([]string{"GOOS=" + t.os, "GOARCH=" + t.arch}, b.Env...), "go", args...)
}

// command runs a program whose errors the user must see.
func command(ctx context.Context, environ []string, name string, args ...string) error {
	c := exec.CommandContext(ctx, name, args...) //nolint:gosec // this program names what it runs
	c.Env = append(c.Environ(), environ...)
	c.Stderr = os.Stderr
	return c.Run()
}
