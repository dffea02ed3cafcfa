// Package homedir is imported by tests of Helm that are not run
// here.
package homedir
