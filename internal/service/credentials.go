package service

import "time"

// Credentials are how a tenant logs in, and since when.
type Credentials struct {
	// Active says by which of its two logins it logs in, 0 or 1.
	Active int
	// Password is the password of the active login; empty when nobody knows it any more.
	Password Sensitive
	// Next is the password by which the other login becomes the active one; empty while there is no
	// rotation under way.
	Next Sensitive
	// RotatedAt is when the password was made.
	RotatedAt time.Time
	// Request is the [Rotation.Request] that the password came after.
	Request string
	// FormerUntil is until when the other login stays as it is; zero when it is disabled.
	FormerUntil time.Time
}

// Standby says which of the two logins is the other one.
func (c Credentials) Standby() int { return 1 - c.Active }

// Logins are the two logins of a tenant, 0 and 1, as its server has them. Each engine says by its own
// means whether a password is the right one.
type Logins interface {
	// Exists reports whether the server has the login.
	Exists(login int) bool
	// Enabled reports whether the login takes new sessions. One that doesn't exist takes none.
	Enabled(login int) bool
	// Accepts reports whether the password is the one that the server has for the login, be it enabled or
	// not. A login that doesn't exist accepts none.
	Accepts(login int, password Sensitive) bool
}

// opens reports whether the password lets somebody in by this one of the logins.
func (c Credentials) opens(logins Logins, login int) bool {
	return c.Password != "" && logins.Enabled(login) && logins.Accepts(login, c.Password)
}
