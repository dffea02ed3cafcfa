// Package frameworks has the few lines that put middleware of net/http's into frameworks which
// are more than net/http, as docs/frameworks.md shows them, and holds package sessionhttp
// against each. It is a module of its own so that programs that import Latchkey do not inherit the frameworks.
package frameworks
