package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"

	provenancev1 "github.com/in-toto/attestation/go/predicates/provenance/v1"
	intotov1 "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
)

const (
	// provenanceFile is an in-toto statement.
	provenanceFile = "provenance.intoto.json"
	provenanceType = "https://slsa.dev/provenance/v1"
	// buildType and builder say how the files were made, and who says so.
	buildType = repository + "/blob/main/docs/releasing.md#what-make-release-does"
	builder   = repository + "/blob/main/docs/releasing.md#the-unsigned-provenance"
	// unsigned is what a reader must know who finds the statement alone.
	unsigned = "Nobody has signed this statement, and anybody could have written it. It says what to build from and with to get the same files. The attestation by GitHub of the same files is signed."
)

// makeProvenance states what all the files were made of.
func (r *release) makeProvenance(context.Context) error {
	statement, err := r.statement()
	if err != nil {
		return err
	}
	content, err := protojson.Marshal(statement)
	if err != nil {
		return err
	}
	// protojson puts spaces at random, so that nobody relies on them. Each run must give the same.
	var indented bytes.Buffer
	if err := json.Indent(&indented, content, "", "  "); err != nil {
		return err
	}
	indented.WriteByte('\n')
	return os.WriteFile(filepath.Join(r.folder, provenanceFile), indented.Bytes(), 0o644)
}

func (r *release) statement() (*intotov1.Statement, error) {
	artifacts, err := r.artifacts()
	if err != nil {
		return nil, err
	}
	subjects := make([]*intotov1.ResourceDescriptor, len(artifacts))
	for number, artifact := range artifacts {
		subjects[number] = &intotov1.ResourceDescriptor{Name: artifact.name, Digest: map[string]string{"sha256": artifact.sum}}
	}
	made, err := r.provenance()
	if err != nil {
		return nil, err
	}
	encoded, err := protojson.Marshal(made)
	if err != nil {
		return nil, err
	}
	predicate := &structpb.Struct{}
	if err := protojson.Unmarshal(encoded, predicate); err != nil {
		return nil, err
	}
	statement := &intotov1.Statement{Type: intotov1.StatementTypeUri, Subject: subjects, PredicateType: provenanceType, Predicate: predicate}
	return statement, statement.Validate()
}

// provenance says nothing about when and where, since each run must give the same.
func (r *release) provenance() (*provenancev1.Provenance, error) {
	parameters, err := structpb.NewStruct(map[string]any{"version": r.version, "image": r.image, "changesInNoCommit": r.source.changed})
	if err != nil {
		return nil, err
	}
	environment, err := structpb.NewStruct(map[string]any{"go": runtime.Version(), "imageDigest": r.index.Digest.String(), "note": unsigned})
	if err != nil {
		return nil, err
	}
	sources := []*intotov1.ResourceDescriptor{{
		Uri: "git+" + repository + "@" + r.source.commit, Digest: map[string]string{"gitCommit": r.source.commit},
	}}
	var errs []error
	for _, file := range r.index.Packages {
		sum, err := sumOf(file)
		errs = append(errs, err)
		sources = append(sources, &intotov1.ResourceDescriptor{
			Name: filepath.Base(file), Uri: debOf(file).PackageURL, Digest: map[string]string{"sha256": sum},
		})
	}
	made := &provenancev1.Provenance{
		BuildDefinition: &provenancev1.BuildDefinition{
			BuildType: buildType, ExternalParameters: parameters, InternalParameters: environment, ResolvedDependencies: sources,
		},
		RunDetails: &provenancev1.RunDetails{Builder: &provenancev1.Builder{Id: builder}},
	}
	return made, errors.Join(append(errs, made.Validate())...)
}
