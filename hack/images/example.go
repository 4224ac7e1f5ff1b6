package images

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// App returns the image of a Python app in a folder: the Debian packages that its packages.txt names, and the folder as
// /app, where its containers start, as a user without rights.
func App(reference, folder string) (Image, error) {
	packages, err := os.ReadFile(filepath.Join(folder, "packages.txt"))
	if err != nil {
		return Image{}, err
	}
	image := Image{
		Reference:     reference,
		Base:          append(slices.Clone(shell), "ca-certificates", "python3"),
		Packages:      strings.Fields(string(packages)),
		CompilePython: true,
		Files: map[string]File{
			"/etc/passwd": {Content: []byte(users), Mode: 0o644},
			"/etc/group":  {Content: []byte(groups), Mode: 0o644},
		},
		Config: v1.Config{
			User:       "65532:65532",
			WorkingDir: "/app",
			Env:        []string{"PATH=/usr/local/bin:/usr/bin:/bin", "PYTHONUNBUFFERED=1"},
		},
	}
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == "packages.txt" {
			return err
		}
		inside, err := filepath.Rel(folder, path)
		image.Files["/app/"+filepath.ToSlash(inside)] = File{From: path, Mode: 0o644}
		return err
	})
	return image, err
}
