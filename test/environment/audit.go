package environment

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

// Audit reads the operator's requests from the API server's audit log.
type Audit struct {
	path string
}

// Mark is a position in the audit log.
type Mark int64

// Request is a request that the API server has answered.
type Request struct {
	// Verb is the verb as in RBAC: get, list, create, update, patch, delete.
	Verb string
	// Resource is the resource, with the subresource after a slash if there is one.
	Resource string
	// Namespace and Name are those of the object, if the request has them.
	Namespace, Name string
	// Code is the HTTP status code of the answer.
	Code int32
}

// String returns the request in a line, as in "update deployments acme/app: 200".
func (r Request) String() string {
	object := strings.TrimPrefix(r.Namespace+"/"+r.Name, "/")
	return fmt.Sprintf("%s %s %s: %d", r.Verb, r.Resource, object, r.Code)
}

// Writes reports whether the request is a write.
func (r Request) Writes() bool {
	return !slices.Contains([]string{"get", "list"}, r.Verb)
}

// uncounted are resources whose requests don't depend on any tenant: the leader's Lease, and the two with which
// the operator authorizes readers of its metrics.
var uncounted = []string{"leases", "tokenreviews", "subjectaccessreviews"}

// leaseEvents is the prefix of the names of the Events about leader election.
const leaseEvents = "tenantry.dev."

// Mark returns the current position.
func (a *Audit) Mark() (Mark, error) {
	info, err := os.Stat(a.path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return Mark(info.Size()), nil
}

// Since returns the operator's requests since the mark, without watches, and without those for the leader's Lease
// and for authorizing readers of its metrics.
func (a *Audit) Since(mark Mark) ([]Request, error) {
	log, err := os.Open(a.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer log.Close()
	if _, err := log.Seek(max(0, int64(mark)-1), io.SeekStart); err != nil {
		return nil, err
	}
	content, err := io.ReadAll(log)
	if err != nil {
		return nil, err
	}
	if mark > 0 {
		// The text before the first line break is the end of a line that was being written at the mark.
		_, content, _ = bytes.Cut(content, []byte("\n"))
	}
	var requests []Request
	// The text after the last line break is a line that is still being written.
	for line := range bytes.Lines(content[:bytes.LastIndexByte(content, '\n')+1]) {
		var event auditv1.Event
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, err
		}
		if request, counts := requestOf(event); counts {
			requests = append(requests, request)
		}
	}
	return requests, nil
}

func requestOf(event auditv1.Event) (request Request, counts bool) {
	object := event.ObjectRef
	if object == nil || event.Verb == "watch" || slices.Contains(uncounted, object.Resource) {
		return Request{}, false
	}
	if object.Resource == "events" && strings.HasPrefix(object.Name, leaseEvents) {
		return Request{}, false
	}
	request = Request{Verb: event.Verb, Resource: object.Resource, Namespace: object.Namespace, Name: object.Name}
	if object.Subresource != "" {
		request.Resource += "/" + object.Subresource
	}
	if event.ResponseStatus != nil {
		request.Code = event.ResponseStatus.Code
	}
	return request, true
}
