//go:build !race

package testservice

const raceEnabled = false
