package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/hack/freeport"
)

// Files in the data folder that flags of the parts refer to.
const (
	authorityFile  = "ca.crt"
	serverCertFile = "server.crt"
	serverKeyFile  = "server.key"
	tokenKeyFile   = "service-account.key"
	// What the API server shows to kubelets.
	kubeletClientCertFile = "kubelet-client.crt"
	kubeletClientKeyFile  = "kubelet-client.key"
	auditPolicyFile       = "audit-policy.yaml"
	stagesFile            = "kwok-stages.yaml"
)

type ports struct {
	etcd, apiServer, scheduler int
}

// prepare writes all files that the parts need.
func (s *starter) prepare(ctx context.Context) error {
	if err := s.layout.reset(s.options.Bin); err != nil {
		return err
	}
	free, err := freeport.Find(3)
	if err != nil {
		return err
	}
	s.ports = ports{etcd: free[0], apiServer: free[1], scheduler: free[2]}
	if err := s.writeIdentities(); err != nil {
		return err
	}
	if err := s.writeAuditPolicy(); err != nil {
		return err
	}
	if err := s.writeStages(ctx); err != nil {
		return err
	}
	if s.config, err = loadConfig(s.layout.kubeconfig()); err != nil {
		return err
	}
	s.readiness, err = newReadiness(s.config, s.options.Nodes, s.options.RealNodes)
	return err
}

// writeAuditPolicy has the requests of the audited users logged when they are answered.
func (s *starter) writeAuditPolicy() error {
	if len(s.options.AuditUsers) == 0 {
		return nil
	}
	policy, err := yaml.Marshal(map[string]any{
		"apiVersion": "audit.k8s.io/v1",
		"kind":       "Policy",
		"omitStages": []string{"RequestReceived"},
		"rules": []map[string]any{
			{"level": "Metadata", "users": s.options.AuditUsers},
			{"level": "None"},
		},
	})
	if err != nil {
		return fmt.Errorf("can't write the audit policy: %w", err)
	}
	return os.WriteFile(s.layout.config(auditPolicyFile), policy, 0o600)
}

// writeStages writes the stages for kwok, which the program kubernetes has built in.
func (s *starter) writeStages(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, s.layout.program(program))
	cmd.Args[0] = "kwok-stages"
	stages, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("can't get the stages of kwok from %s, which Build makes: %w", cmd.Path, err)
	}
	return os.WriteFile(s.layout.config(stagesFile), stages, 0o600)
}
