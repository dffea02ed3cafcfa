//go:build !linux

package cluster

func sync() {}
