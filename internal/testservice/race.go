//go:build race

package testservice

const raceEnabled = true
