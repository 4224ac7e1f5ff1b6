package database

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/xdg-go/scram"
	"k8s.io/utils/lru"
)

const (
	scramMechanism     = "SCRAM-SHA-256"
	scramIterations    = 4096
	scramMaxIterations = 100_000
	scramSaltLength    = 16

	// maxPairs is more than the number of tenants that are created between two probes of a server.
	maxPairs = 1024
)

// pairs has digests of pairs of a verifier and a password that are known to match, since this process has computed
// the verifier. A tenant's verifier is compared soon after it was computed, when the server first reports it. The
// cache makes [Matches] faster and doesn't change its result: any other verifier or password is an unknown pair.
var pairs = lru.New(maxPairs)

// pair returns the digest of a verifier and a password.
func pair(verifier, password string) [sha256.Size]byte {
	first, second := sha256.Sum256([]byte(verifier)), sha256.Sum256([]byte(password))
	return sha256.Sum256(slices.Concat(first[:], second[:]))
}

// Verifier returns what PostgreSQL stores for the password, in the form
// SCRAM-SHA-256$4096:<salt>$<StoredKey>:<ServerKey>. PostgreSQL accepts a verifier in place of a password, so the
// password itself never reaches the server. The salt is random; use [Matches] to compare. The password must be
// ASCII.
func Verifier(password string) string {
	salt := make([]byte, scramSaltLength)
	rand.Read(salt) // never fails
	stored, err := verifier(password, scram.KeyFactors{Salt: string(salt), Iters: scramIterations})
	if err != nil {
		panic(fmt.Sprintf("the Go runtime refuses PBKDF2 with SHA-256, which PostgreSQL requires: %v", err))
	}
	pairs.Add(pair(stored, password), nil)
	return stored
}

// Matches reports whether the verifier was computed from the password, by [Verifier] or by PostgreSQL. It returns
// false for anything that isn't a SCRAM-SHA-256 verifier, and for one with more than 100,000 iterations, since a
// tenant could give its login a verifier that takes an hour to compare.
func Matches(stored, password string) bool {
	this := pair(stored, password)
	if _, known := pairs.Get(this); known {
		return true
	}
	matches := compare(stored, password)
	if matches {
		pairs.Add(this, nil)
	}
	return matches
}

// compare computes a verifier from the password with the salt and iterations of the stored one.
func compare(stored, password string) bool {
	parameters, _, _ := strings.Cut(strings.TrimPrefix(stored, scramMechanism+"$"), "$")
	count, encodedSalt, _ := strings.Cut(parameters, ":")
	iterations, err := strconv.Atoi(count)
	if err != nil || iterations < 1 || iterations > scramMaxIterations {
		return false
	}
	salt, err := base64.StdEncoding.DecodeString(encodedSalt)
	if err != nil {
		return false
	}
	wanted, err := verifier(password, scram.KeyFactors{Salt: string(salt), Iters: iterations})
	return err == nil && subtle.ConstantTimeCompare([]byte(stored), []byte(wanted)) == 1
}

// verifier formats the keys from the library in PostgreSQL's notation.
func verifier(password string, factors scram.KeyFactors) (string, error) {
	client, err := scram.SHA256.NewClientUnprepped("", password, "")
	if err != nil {
		return "", err
	}
	made, err := client.GetStoredCredentialsWithError(factors)
	if err != nil {
		return "", err
	}
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%s$%d:%s$%s:%s", scramMechanism, factors.Iters, encode([]byte(factors.Salt)), encode(made.StoredKey), encode(made.ServerKey)), nil
}
