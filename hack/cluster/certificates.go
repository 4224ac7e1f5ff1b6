package cluster

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net"

	"github.com/tenantry/tenantry/hack/authority"
	"github.com/tenantry/tenantry/hack/fabric"
)

// authorityName is the name of the authority of one control plane, which signs the certificates of its servers and of
// its users.
const authorityName = "kubernetes-ca"

// issueServer issues a certificate for the addresses and the in-cluster names of the API server.
func issueServer(from *authority.Authority) (authority.KeyPair, error) {
	return from.Issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.ParseIP(loopback), net.ParseIP(fabric.Address), net.ParseIP(serviceIP)},
		DNSNames: []string{"localhost", "kubernetes", "kubernetes.default",
			"kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
	})
}

// issueUser issues a client certificate with the name of a user and its groups.
func issueUser(from *authority.Authority, name string, groups []string) (authority.KeyPair, error) {
	return from.Issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: name, Organization: groups},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}
