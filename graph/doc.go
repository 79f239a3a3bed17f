// Package graph holds what the front of the house shares: who asks (Viewer,
// Scope), ids and cursors as the outside sees them, the one table that turns
// kinds of failure into error codes, and the directives that the schema puts on
// its fields.
//
// The schema itself stands in schema/, one file a subject. Below it: scalar/
// reads and writes the schema's scalars, view/ shows what is stored to one
// viewer, plan/ writes hot subtrees without a resolver call for each field, and
// generated/ and model/ are gqlgen's.
package graph
