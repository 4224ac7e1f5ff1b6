package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// sumsFile has the checksums, for sha256sum --check.
const sumsFile = "SHA256SUMS"

// sumOf returns the checksum of a file.
func sumOf(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	_, err = io.Copy(sum, file)
	return hex.EncodeToString(sum.Sum(nil)), errors.Join(err, file.Close())
}

// artifact is a file of the release.
type artifact struct{ name, sum string }

// artifacts returns the files that are there, in the order of their names.
func (r *release) artifacts() ([]artifact, error) {
	entries, err := os.ReadDir(r.folder)
	if err != nil {
		return nil, err
	}
	all := make([]artifact, len(entries))
	for number, entry := range entries {
		all[number].name = entry.Name()
		if all[number].sum, err = sumOf(filepath.Join(r.folder, entry.Name())); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (r *release) makeSums(context.Context) error {
	all, err := r.artifacts()
	if err != nil {
		return err
	}
	var lines bytes.Buffer
	for _, artifact := range all {
		fmt.Fprintf(&lines, "%s  %s\n", artifact.sum, artifact.name)
	}
	return os.WriteFile(filepath.Join(r.folder, sumsFile), lines.Bytes(), 0o644)
}
