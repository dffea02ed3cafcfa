// Package compas has no code: its tests have the real @compas/store fill a
// database, and take it over.
//
// It is a module of its own, since it needs Node and npm.
package compas
