// Package proto holds the contracts between services and the Go code generated from them.
package proto

//go:generate go run ./generate
