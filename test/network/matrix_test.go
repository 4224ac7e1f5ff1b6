package network

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/test/matrix"
)

// differences returns the names of the cells for which a judge's verdict differs from the matrix.
func differences(j *judge, row []matrix.Cell) (names []string) {
	GinkgoHelper()
	for _, expected := range row {
		found, explanation, err := j.verdict(expected.From, expected.To)
		Expect(err).NotTo(HaveOccurred())
		if found != expected.Want {
			GinkgoWriter.Printf("%s is %s:\n%s\n", expected, found, explanation)
			names = append(names, fmt.Sprintf("%s should be %s, but is %s", expected, expected.Want, found))
		}
	}
	return names
}

var _ = Describe("The network policies of three tenants", func() {
	for _, row := range matrix.Rows() {
		It("let in to "+row[0].To+" whom they should, and nobody else", func() {
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
			for _, row := range matrix.Rows() {
				noticed = append(noticed, differences(rest, row)...)
			}
			Expect(noticed).NotTo(BeEmpty(), "without %s/%s", policy.Namespace, policy.Name)
		}
	})
})
