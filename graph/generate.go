package graph

//go:generate go run ./plan/generator.go
