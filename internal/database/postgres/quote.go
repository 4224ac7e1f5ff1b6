package postgres

import (
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/service"
)

func identifier(name string) string { return pgx.Identifier{name}.Sanitize() }

// literal quotes a string. pgx can do that only with a connection, and statements are built without one. It relies
// on standard_conforming_strings, which our sessions set.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// list quotes each of the texts, and separates them by commas.
func list(quote func(string) string, texts ...string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = quote(text)
	}
	return strings.Join(quoted, ", ")
}

// verifier returns a literal that sets the password of a role without revealing it to the server.
func verifier(password service.Sensitive) string {
	return literal(database.Verifier(string(password)))
}
