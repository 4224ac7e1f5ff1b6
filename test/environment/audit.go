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

// Audit has the requests that the operator has made, as the API server logged them.
type Audit struct {
	path string
}

// Mark is a moment in the audit log.
type Mark int64

// Request is a request that the API server has answered.
type Request struct {
	// Verb is that of RBAC: get, list, create, update, patch, delete.
	Verb string
	// Resource is the resource, and the subresource behind a slash where there is one.
	Resource string
	// Namespace and Name are those of the object, as far as the request names one.
	Namespace, Name string
	// Code is the HTTP status code of the answer.
	Code int32
}

// String returns the request in a line, as in "update deployments acme/app: 200".
func (r Request) String() string {
	object := strings.TrimPrefix(r.Namespace+"/"+r.Name, "/")
	return fmt.Sprintf("%s %s %s: %d", r.Verb, r.Resource, object, r.Code)
}

// Writes reports whether the request was one to change something.
func (r Request) Writes() bool {
	return !slices.Contains([]string{"get", "list"}, r.Verb)
}

// uncounted are the resources whose requests don't depend on any tenant: the leader's lease, and
// the two by which the operator lets in who reads its metrics.
var uncounted = []string{"leases", "tokenreviews", "subjectaccessreviews"}

// leaseEvents begins the names of the Events that tell who leads.
const leaseEvents = "tenantry.dev."

// Mark returns the present moment.
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

// Since returns the operator's requests since the mark. Watches, those about the leader's lease and
// those by which the operator lets in who reads its metrics are left out.
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
		// Only the end of a line that was being written at the mark is before the next line break.
		_, content, _ = bytes.Cut(content, []byte("\n"))
	}
	var requests []Request
	// What follows the last line break is a line that is still being written.
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
