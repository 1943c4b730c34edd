// Owns what tests ask of MinIO beyond S3: a user with a policy, a bucket's quota, a session's credentials.
// The server and its root user come from the environment (MINIO_ENDPOINT, MINIO_ROOT_USER, MINIO_ROOT_PASSWORD), a new user's secret
// from MINIO_USER_SECRET: no secret stands on a command line.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"os"
	"strconv"

	"github.com/minio/madmin-go/v3"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const usage = "usage: minio-admin add-user NAME POLICY.json | quota BUCKET BYTES | session"

func main() {
	log.SetFlags(0)
	if err := run(context.Background(), os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, args []string) error {
	host, user, secret := os.Getenv("MINIO_ENDPOINT"), os.Getenv("MINIO_ROOT_USER"), os.Getenv("MINIO_ROOT_PASSWORD")
	admin, err := madmin.NewWithOptions(host, &madmin.Options{Creds: credentials.NewStaticV4(user, secret, "")})
	if err != nil {
		return err
	}
	switch {
	case len(args) == 3 && args[0] == "add-user":
		return addUser(ctx, admin, args[1], args[2])
	case len(args) == 3 && args[0] == "quota":
		bytes, err := strconv.ParseUint(args[2], 10, 64)
		if err != nil {
			return err
		}
		return admin.SetBucketQuota(ctx, args[1], &madmin.BucketQuota{Size: bytes, Type: madmin.HardQuota})
	case len(args) == 1 && args[0] == "session":
		return printSession("http://"+host, user, secret)
	}
	return errors.New(usage)
}

func addUser(ctx context.Context, admin *madmin.AdminClient, name, policyFile string) error {
	policy, err := os.ReadFile(policyFile)
	if err != nil {
		return err
	}
	if err := admin.AddCannedPolicy(ctx, name, policy); err != nil {
		return err
	}
	if err := admin.AddUser(ctx, name, os.Getenv("MINIO_USER_SECRET")); err != nil {
		return err
	}
	_, err = admin.AttachPolicy(ctx, madmin.PolicyAssociationReq{User: name, Policies: []string{name}})
	return err
}

// MINIO_ROOT_USER may be any user here: the session has that user's rights.
func printSession(endpoint, user, secret string) error {
	sts, err := credentials.NewSTSAssumeRole(endpoint, credentials.STSAssumeRoleOptions{AccessKey: user, SecretKey: secret})
	if err != nil {
		return err
	}
	value, err := sts.GetWithContext(nil)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]string{
		"accessKeyId": value.AccessKeyID, "secretAccessKey": value.SecretAccessKey, "sessionToken": value.SessionToken,
	})
}
