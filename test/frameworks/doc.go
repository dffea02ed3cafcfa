// Package frameworks has the few lines that adapt net/http middleware to frameworks with their own handler
// types, as docs/frameworks.md shows them, and tests package sessionhttp with each. It is a separate module so
// that programs that import Latchkey do not inherit the frameworks.
package frameworks
