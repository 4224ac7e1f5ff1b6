package deploy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/tenantry/tenantry/hack/authority"
)

// answerLimit is how long an answer may take. The gateway gives up on a backend after five seconds.
const answerLimit = 10 * time.Second

// Client finds each hostname at the gateway, which this machine reaches at the port, and trusts nobody but the authority
// of the apps' certificates. Each request is a connection of its own, so that it sees what is served now.
func Client(trusted *authority.Authority, port int) (*http.Client, error) {
	certificate, err := trusted.PEM()
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(certificate) {
		return nil, errors.New("the authority has no certificate")
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	return &http.Client{Timeout: answerLimit, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	}}, nil
}
