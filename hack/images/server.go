package images

import (
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// shell is the base of images whose containers run scripts. The locale C.UTF-8 is in libc-bin.
var shell = []string{"dash", "coreutils", "libc-bin"}

// PostgreSQL returns the image of a PostgreSQL server of a major version that this release of Debian has. It has what
// pods of a dedicated server use of the official image, by whose name they ask for it: the programs, by PATH, and the
// user postgres with the UID 999. It lacks what they don't use: the official entrypoint, locales other than C.UTF-8,
// and compiling queries by LLVM.
func PostgreSQL(version string) Image {
	image := server("docker.io/library/postgres:"+version, "postgres", "/var/lib/postgresql")
	image.Packages = []string{"postgresql-" + version}
	image.Without = []string{
		"libllvm14", "locales", "postgresql-client-common", "postgresql-common", "ssl-cert",
		fmt.Sprintf("/usr/lib/postgresql/%s/lib/bitcode/", version),
		fmt.Sprintf("/usr/lib/postgresql/%s/lib/llvmjit.so", version),
		fmt.Sprintf("/usr/lib/postgresql/%s/lib/llvmjit_types.bc", version),
	}
	image.Config.Env = []string{fmt.Sprintf("PATH=/usr/lib/postgresql/%s/bin:/usr/bin:/bin", version), "LANG=C.UTF-8"}
	image.Config.Cmd = []string{"postgres"}
	image.Config.StopSignal = "SIGINT"
	return image
}

// Redis returns the image of a Redis server of the major version that this release of Debian has, with the user redis
// that the official image has.
func Redis(version string) Image {
	image := server("docker.io/library/redis:"+version, "redis", "/data")
	image.Packages = []string{"redis-server"}
	image.Config.Cmd = []string{"redis-server"}
	return image
}

// server returns the image of a server that runs as a user with the UID 999, as in the official images.
func server(reference, user, home string) Image {
	return Image{
		Reference: reference,
		Base:      shell,
		Files: map[string]File{
			"/etc/passwd": {Content: fmt.Appendf(nil, "root:x:0:0:root:/root:/sbin/nologin\n%s:x:999:999:%s:%s:/bin/sh\n", user, user, home), Mode: 0o644},
			"/etc/group":  {Content: fmt.Appendf(nil, "root:x:0:\n%s:x:999:\n", user), Mode: 0o644},
		},
		Config: v1.Config{User: "999:999", Env: []string{"PATH=/usr/bin:/bin"}},
	}
}
