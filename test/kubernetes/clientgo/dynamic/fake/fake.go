// Package fake is named by tests of Helm that nobody runs here.
package fake
