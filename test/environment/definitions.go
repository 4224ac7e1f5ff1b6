package environment

import "context"

// ApplyDefinitions applies the CustomResourceDefinitions in files of a Go module, as in
// "example.com/module@v1.2.3", and returns once the API server serves them.
func (e *Environment) ApplyDefinitions(ctx context.Context, module string, paths ...string) error {
	return e.Kubernetes.ApplyDefinitions(ctx, module, paths...)
}
