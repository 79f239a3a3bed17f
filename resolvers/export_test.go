package resolvers

import "github.com/99designs/gqlgen/graphql"

// PlainSchema is the schema without plans.
func (r *Resolver) PlainSchema() graphql.ExecutableSchema {
	s := *r.Schema().(*schema)
	s.plain = true
	return &s
}
