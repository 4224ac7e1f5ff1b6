package problem

import (
	"fmt"
	"strings"
)

// failuresTold is how many of the same kind are told one by one.
const failuresTold = 3

// Upkeep says that the operator can't do something that a server needs, and why: the error, or those that are
// joined in it.
func Upkeep(what string, err error) Problem {
	causes := parts(err)
	sentences := make([]string, 0, failuresTold+1)
	for n, cause := range causes {
		if n == failuresTold {
			sentences = append(sentences, fmt.Sprintf("Others of this kind: %d.", len(causes)-n))
			break
		}
		sentences = append(sentences, sentence(cause))
	}
	return temporary(OfServer(err).Reason, Later, "The operator can't %s, and tries it again every few seconds: %s", what, strings.Join(sentences, " "))
}
