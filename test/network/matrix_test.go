package network

import (
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tenantry/tenantry/internal/naming"
)

// matrix says who can reach whom: a column for each source, and a row for each destination with its port. acme has
// spec.network and its database in the cluster, globex has neither, and initech has the dedicated server
// own-server. The cluster's DNS is in kube-system and in openshift-dns, and on each node. The pods named posing
// have every label that others are allowed by. PGPORT is the port of both DatabaseServers, and APIPORT that of the
// API server.
//
//nolint:dupword // It is a table.
const matrix = `
to \ from                 acme/app  acme/own  globex/app  globex/own  globex/posing  dns      system   database  ingress  outsider  internet  initech/own  operator  own-server

acme/app:8080/TCP         allowed   allowed   refused     refused     refused        refused  refused  refused   allowed  refused   refused   refused      refused   refused
acme/app:9090/TCP         allowed   allowed   refused     refused     refused        refused  refused  refused   refused  refused   refused   refused      refused   refused
acme/app:8080/UDP         allowed   allowed   refused     refused     refused        refused  refused  refused   refused  refused   refused   refused      refused   refused
acme/own:8080/TCP         allowed   allowed   refused     refused     refused        refused  refused  refused   refused  refused   refused   refused      refused   refused
globex/app:3000/TCP       refused   refused   allowed     allowed     allowed        refused  refused  refused   refused  refused   refused   refused      refused   refused
globex/own:3000/TCP       refused   refused   allowed     allowed     allowed        refused  refused  refused   refused  refused   refused   refused      refused   refused
globex/posing:8080/TCP    refused   refused   allowed     allowed     allowed        refused  refused  refused   refused  refused   refused   refused      refused   refused
globex/posing:53/UDP      refused   refused   allowed     allowed     allowed        refused  refused  refused   refused  refused   refused   refused      refused   refused
globex/posing:PGPORT/TCP  refused   refused   allowed     allowed     allowed        refused  refused  refused   refused  refused   refused   refused      refused   refused

dns:53/UDP                allowed   allowed   allowed     allowed     allowed        allowed  allowed  allowed   allowed  allowed   allowed   allowed      allowed   refused
dns:53/TCP                allowed   allowed   allowed     allowed     allowed        allowed  allowed  allowed   allowed  allowed   allowed   allowed      allowed   refused
openshift-dns:5353/UDP    allowed   allowed   allowed     allowed     allowed        allowed  allowed  allowed   allowed  allowed   allowed   allowed      allowed   refused
openshift-dns:5353/TCP    allowed   allowed   allowed     allowed     allowed        allowed  allowed  allowed   allowed  allowed   allowed   allowed      allowed   refused
openshift-dns:53/UDP      refused   refused   refused     refused     refused        allowed  allowed  allowed   allowed  allowed   allowed   refused      allowed   refused
openshift-dns:8080/TCP    refused   refused   refused     refused     refused        allowed  allowed  allowed   allowed  allowed   allowed   refused      allowed   refused
node-cache:53/UDP         allowed   allowed   allowed     allowed     allowed        allowed  allowed  allowed   allowed  allowed   allowed   allowed      allowed   refused
node-cache:53/TCP         allowed   allowed   allowed     allowed     allowed        allowed  allowed  allowed   allowed  allowed   allowed   allowed      allowed   refused
node-cache:80/TCP         refused   refused   refused     refused     refused        allowed  allowed  allowed   allowed  allowed   allowed   refused      allowed   refused
globex/posing:5353/UDP    refused   refused   allowed     allowed     allowed        refused  refused  refused   refused  refused   refused   refused      refused   refused
dns:9153/TCP              refused   refused   refused     refused     refused        allowed  allowed  allowed   allowed  allowed   allowed   refused      allowed   refused
system:53/UDP             refused   refused   refused     refused     refused        allowed  allowed  allowed   allowed  allowed   allowed   refused      allowed   refused
system:443/TCP            refused   refused   refused     refused     refused        allowed  allowed  allowed   allowed  allowed   allowed   refused      allowed   refused
ingress:443/TCP           refused   refused   refused     refused     refused        allowed  allowed  allowed   allowed  allowed   allowed   refused      allowed   refused
outsider:8080/TCP         refused   refused   refused     refused     refused        allowed  allowed  allowed   allowed  allowed   allowed   refused      allowed   refused
outsider:53/UDP           refused   refused   refused     refused     refused        allowed  allowed  allowed   allowed  allowed   allowed   refused      allowed   refused
outsider:PGPORT/TCP       refused   refused   refused     refused     refused        allowed  allowed  allowed   allowed  allowed   allowed   refused      allowed   refused

database:PGPORT/TCP       allowed   allowed   refused     refused     refused        allowed  allowed  allowed   allowed  allowed   allowed   refused      allowed   refused
database:PGPORT/UDP       refused   refused   refused     refused     refused        allowed  allowed  allowed   allowed  allowed   allowed   refused      allowed   refused
database:22/TCP           refused   refused   refused     refused     refused        allowed  allowed  allowed   allowed  allowed   allowed   refused      allowed   refused
backup:PGPORT/TCP         refused   refused   refused     refused     refused        allowed  allowed  allowed   allowed  allowed   allowed   refused      allowed   refused
database-host:PGPORT/TCP  refused   refused   allowed     allowed     allowed        allowed  allowed  allowed   allowed  allowed   allowed   refused      allowed   refused
database-host:22/TCP      refused   refused   refused     refused     refused        allowed  allowed  allowed   allowed  allowed   allowed   refused      allowed   refused

api-server:APIPORT/TCP    refused   refused   refused     refused     refused        allowed  allowed  allowed   allowed  allowed   allowed   refused      allowed   refused
api-service:443/TCP       refused   refused   refused     refused     refused        allowed  allowed  allowed   allowed  allowed   allowed   refused      allowed   refused
node:10250/TCP            refused   refused   refused     refused     refused        allowed  allowed  allowed   allowed  allowed   allowed   refused      allowed   refused
partner:443/TCP           allowed   allowed   refused     refused     refused        allowed  allowed  allowed   allowed  allowed   allowed   refused      allowed   refused
partner:443/UDP           refused   refused   refused     refused     refused        allowed  allowed  allowed   allowed  allowed   allowed   refused      allowed   refused
partner:80/TCP            refused   refused   refused     refused     refused        allowed  allowed  allowed   allowed  allowed   allowed   refused      allowed   refused
internet:443/TCP          refused   refused   refused     refused     refused        allowed  allowed  allowed   allowed  allowed   allowed   refused      allowed   refused
internet:53/UDP           refused   refused   refused     refused     refused        allowed  allowed  allowed   allowed  allowed   allowed   refused      allowed   refused
internet-v6:443/TCP       refused   refused   refused     refused     refused        allowed  allowed  allowed   allowed  allowed   allowed   refused      allowed   refused
metadata:80/TCP           refused   refused   refused     refused     refused        allowed  allowed  allowed   allowed  allowed   allowed   refused      allowed   refused
metadata:53/UDP           refused   refused   refused     refused     refused        allowed  allowed  allowed   allowed  allowed   allowed   refused      allowed   refused
metadata-v6:80/TCP        refused   refused   refused     refused     refused        allowed  allowed  allowed   allowed  allowed   allowed   refused      allowed   refused

initech/own:8080/TCP      refused   refused   refused     refused     refused        refused  refused  refused   refused  refused   refused   allowed      refused   refused
own-server:5432/TCP       refused   refused   refused     refused     refused        refused  refused  refused   refused  refused   refused   allowed      allowed   refused
own-server:5432/UDP       refused   refused   refused     refused     refused        refused  refused  refused   refused  refused   refused   refused      refused   refused
own-server:8000/TCP       refused   refused   refused     refused     refused        refused  refused  refused   refused  refused   refused   refused      refused   refused
`

// shorthand has the pods of matrix that belong to no tenant. Pods of tenants are namespace/name, and all other
// places are addresses.
var shorthand = map[string]string{
	"dns": "kube-system/coredns", "openshift-dns": "openshift-dns/dns",
	"system":   "kube-system/metrics-server",
	"database": "databases/postgresql",
	"backup":   "databases/backup",
	"ingress":  "ingress-nginx/controller",
	"outsider": "default/posing",
	"operator": "tenantry-system/manager", "own-server": "tenantry-databases/postgresql",
}

// cell is a verdict that matrix expects.
type cell struct {
	from, to string
	want     verdict
}

func (c cell) String() string { return c.from + " to " + c.to }

// cells returns the cells of matrix, row by row.
func cells() [][]cell {
	lines := strings.FieldsFunc(matrix, func(r rune) bool { return r == '\n' })
	sources := strings.Fields(strings.TrimPrefix(lines[0], `to \ from`))
	var rows [][]cell
	for _, line := range lines[1:] {
		fields := strings.Fields(line)
		row := make([]cell, 0, len(sources))
		for n, source := range sources {
			row = append(row, cell{from: source, to: fields[0], want: verdict(fields[n+1])})
		}
		rows = append(rows, row)
	}
	return rows
}

// differences returns the names of the cells for which a judge's verdict differs from matrix.
func differences(j *judge, row []cell) (names []string) {
	GinkgoHelper()
	for _, expected := range row {
		found, explanation, err := j.verdict(expected.from, expected.to)
		Expect(err).NotTo(HaveOccurred())
		if found != expected.want {
			GinkgoWriter.Printf("%s is %s:\n%s\n", expected, found, explanation)
			names = append(names, fmt.Sprintf("%s should be %s, but is %s", expected, expected.want, found))
		}
	}
	return names
}

var _ = Describe("The network policies of three tenants", func() {
	for _, row := range cells() {
		It("let in to "+row[0].to+" whom they should, and nobody else", func() {
			Expect(differences(cluster, row)).To(BeEmpty())
		})
	}

	It("are each needed for that", func() {
		for _, policy := range cluster.policies {
			if policy.Name == naming.PolicyDenyAll {
				continue // As long as allow-tenant is there, which also closes both directions.
			}
			rest := cluster.without(policy)
			var noticed []string
			for _, row := range cells() {
				noticed = append(noticed, differences(rest, row)...)
			}
			Expect(noticed).NotTo(BeEmpty(), "without %s/%s", policy.Namespace, policy.Name)
		}
	})
})
