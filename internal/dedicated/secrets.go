package dedicated

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/service"
)

const (
	// superuserRole is the role that the operator logs in as.
	superuserRole = "postgres"
	// keyVerifier is the key of the verifier that the server stores for the password.
	keyVerifier = "verifier"
	// keyLogin is the key of the statement that gives superuserRole its password, as a verifier.
	keyLogin = "login.sql"
	// keyAuthority is the key of the authorities' certificates, and keyAuthorityKey that of the private key of the
	// newest one. CloudNativePG uses the same keys.
	keyAuthority    = "ca.crt"
	keyAuthorityKey = "ca.key"
)

// Secrets are the secrets of a server. All except the password and its verifier are for a server that a
// StatefulSet runs; CloudNativePG creates its own certificates.
type Secrets struct {
	// Password is the superuser's password.
	Password string
	// Verifier is what the server stores for the password.
	Verifier string
	// Authority has the certificates of the authorities that clients trust, as PEM: the one that signed
	// Certificate, its successor while that is being introduced, and predecessors that have not expired.
	Authority []byte
	// AuthorityKey is the private key of the newest authority, as PEM.
	AuthorityKey []byte
	// Certificate is the server's certificate, and Key its private key, as PEM.
	Certificate, Key []byte
}

// SecretsIn returns the content of the Secrets of a server. Fields without content are empty.
func SecretsIn(superuser, authority, certificate *corev1.Secret) Secrets {
	secrets := Secrets{
		Password:     string(superuser.Data[corev1.BasicAuthPasswordKey]),
		Verifier:     string(superuser.Data[keyVerifier]),
		Authority:    authority.Data[keyAuthority],
		AuthorityKey: authority.Data[keyAuthorityKey],
		Certificate:  certificate.Data[corev1.TLSCertKey],
		Key:          certificate.Data[corev1.TLSPrivateKeyKey],
	}
	return secrets
}

// CompletePassword returns the secrets with a new password or verifier if one is missing or they don't match.
func (s Secrets) CompletePassword() Secrets {
	if !service.IsGenerated(s.Password) {
		s.Password = service.GeneratePassword()
	}
	if !database.Matches(s.Verifier, s.Password) {
		s.Verifier = database.Verifier(s.Password)
	}
	return s
}

// revision changes whenever the server must restart to use the secrets. It reloads a renewed certificate
// without a restart. Servers without an authority key were made by an earlier version, whose revision
// had the certificate in it: they keep that, so that an upgrade doesn't restart them.
func (s Secrets) revision() string {
	hash := sha256.New()
	if len(s.AuthorityKey) == 0 {
		fmt.Fprintf(hash, "%q%q%q", s.Verifier, s.Certificate, s.Key)
	} else {
		fmt.Fprintf(hash, "%q%q", s.Verifier, s.Key)
	}
	return hex.EncodeToString(hash.Sum(nil))[:16]
}

// superuser returns the Secret with the superuser's login, and with what a server that a StatefulSet runs reads
// when it starts. The label makes CloudNativePG use a new password at once.
func superuser(in Inputs) desired.Object {
	secret := &corev1.Secret{
		ObjectMeta: meta(in.Server, naming.ServerSuperuser(in.Server.Name)),
		Type:       corev1.SecretTypeBasicAuth,
		Data: map[string][]byte{
			corev1.BasicAuthUsernameKey: []byte(superuserRole),
			corev1.BasicAuthPasswordKey: []byte(in.Secrets.Password),
			keyVerifier:                 []byte(in.Secrets.Verifier),
			keyLogin:                    fmt.Appendf(nil, "ALTER ROLE %s LOGIN SUPERUSER PASSWORD '%s';\n", superuserRole, in.Secrets.Verifier),
		},
	}
	secret.Labels["cnpg.io/reload"] = "true"
	return secret
}

func certificate(in Inputs) desired.Object {
	return &corev1.Secret{
		ObjectMeta: meta(in.Server, naming.ServerCertificate(in.Server.Name)),
		Type:       corev1.SecretTypeTLS,
		Data: map[string][]byte{
			corev1.TLSCertKey: in.Secrets.Certificate, corev1.TLSPrivateKeyKey: in.Secrets.Key,
		},
	}
}

func authority(in Inputs) desired.Object {
	secret := &corev1.Secret{
		ObjectMeta: meta(in.Server, naming.ServerAuthority(in.Server.Name)),
		Type:       corev1.SecretTypeOpaque,
		Data:       map[string][]byte{keyAuthority: in.Secrets.Authority},
	}
	if len(in.Secrets.AuthorityKey) > 0 {
		secret.Data[keyAuthorityKey] = in.Secrets.AuthorityKey
	}
	return secret
}
