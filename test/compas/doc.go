// Package compas has no code: its tests let the real @compas/store fill a
// database, and take it over.
//
// It is a separate module because it needs Node and npm.
package compas
