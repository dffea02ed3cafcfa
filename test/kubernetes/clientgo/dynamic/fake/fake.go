// Package fake is imported by tests of Helm that are not run
// here.
package fake
