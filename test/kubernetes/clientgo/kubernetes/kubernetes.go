// Package kubernetes is named by tests of Helm that nobody runs here.
package kubernetes
