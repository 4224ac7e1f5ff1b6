package service

import (
	"crypto/rand"
	"strconv"
	"strings"
)

const (
	passwordLength   = 32
	passwordAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
)

// Sensitive is a password, or what a server stores of one. It prints and marshals as asterisks, so that structs
// with it can be logged.
type Sensitive string

// String returns asterisks.
func (Sensitive) String() string { return "***" }

// GoString returns asterisks.
func (s Sensitive) GoString() string { return strconv.Quote(s.String()) }

// MarshalText returns asterisks.
func (s Sensitive) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// GeneratePassword returns a new random password of 32 letters and digits, which need no escaping
// in a connection URI.
func GeneratePassword() string {
	password := make([]byte, 0, passwordLength)
	random := make([]byte, passwordLength)
	for len(password) < passwordLength {
		rand.Read(random) // never fails
		for _, b := range random {
			// A byte has room for four times the alphabet. Values beyond that would favor its first letters.
			if int(b) < 4*len(passwordAlphabet) && len(password) < passwordLength {
				password = append(password, passwordAlphabet[int(b)%len(passwordAlphabet)])
			}
		}
	}
	return string(password)
}

// IsGenerated reports whether the password could be from [GeneratePassword]. Others may need escaping or be easier
// to guess, and are replaced.
func IsGenerated(password string) bool {
	return len(password) == passwordLength && strings.Trim(password, passwordAlphabet) == ""
}
