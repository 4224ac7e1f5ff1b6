package service

import "time"

// Credentials are a tenant's passwords and the times that matter for their rotation.
type Credentials struct {
	// Active is the index of the active one of its two logins, 0 or 1.
	Active int
	// Password is the password of the active login; empty when nobody knows it any more.
	Password Sensitive
	// Next is the password with which the other login becomes the active one; empty unless a rotation is under way.
	Next Sensitive
	// RotatedAt is when the password was generated.
	RotatedAt time.Time
	// Request is the last [Rotation.Request] that the password has fulfilled.
	Request string
	// FormerUntil is until when the other login stays enabled; zero if it is disabled.
	FormerUntil time.Time
}

// Standby returns the index of the other login.
func (c Credentials) Standby() int { return 1 - c.Active }

// Logins are the two logins of a tenant, 0 and 1, on its server. Each engine verifies passwords in its own way.
type Logins interface {
	// Exists reports whether the server has the login.
	Exists(login int) bool
	// Enabled reports whether the login accepts new sessions. It is false for a login that doesn't exist.
	Enabled(login int) bool
	// Accepts reports whether the password is the one that the server has for the login, whether it is enabled or
	// not. It is false for a login that doesn't exist.
	Accepts(login int, password Sensitive) bool
}

// opens reports whether a client can log in with this login and the active password.
func (c Credentials) opens(logins Logins, login int) bool {
	return c.Password != "" && logins.Enabled(login) && logins.Accepts(login, c.Password)
}
