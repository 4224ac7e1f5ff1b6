package postgres

import (
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/service"
)

func identifier(name string) string { return pgx.Identifier{name}.Sanitize() }

// literal is by hand because pgx quotes literals on a connection only, and statements are made
// without one. It relies on standard_conforming_strings, which our sessions pin.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// list quotes each of the texts, and puts commas between them.
func list(quote func(string) string, texts ...string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = quote(text)
	}
	return strings.Join(quoted, ", ")
}

// verifier returns a literal by which a role gets the password, without the server seeing it.
func verifier(password service.Sensitive) string {
	return literal(database.Verifier(string(password)))
}
