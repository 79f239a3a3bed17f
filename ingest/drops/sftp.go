package drops

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
)

// patience is how long the server may take for one step: to shake hands, to
// list, to send a piece of a file.
const patience = 30 * time.Second

// SFTPOptions say where a directory is and how one is let in.
type SFTPOptions struct {
	// URL is sftp://user@host:port/path; the port may be missing.
	URL string
	// HostKey is the server's public key as in known_hosts (type and key), or
	// its SHA256 fingerprint; several stand on lines of their own. There is no
	// way to do without.
	HostKey string
	// Password or PrivateKey (PEM, with Passphrase if it has one); both may be
	// set.
	Password, PrivateKey, Passphrase string
	// Wall bounds waits.
	Wall clock.Clock
}

// SFTP is a directory on an SFTP server. It does no I/O. The error is of kind
// ErrInvalid, names the option and shows no secret.
func SFTP(o SFTPOptions) (Place, error) {
	s := &sftpPlace{wall: o.Wall}
	if s.wall == nil {
		s.wall = clock.Wall()
	}
	u, err := url.Parse(o.URL)
	if err != nil || u.Scheme != "sftp" || u.Hostname() == "" || u.User.Username() == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("sftp: want sftp://user@host:port/path: %w", parcel.ErrInvalid)
	}
	if _, has := u.User.Password(); has {
		return nil, fmt.Errorf("sftp: the address shows a password; give password_env or password_file: %w", parcel.ErrInvalid)
	}
	port := u.Port()
	if port == "" {
		port = "22"
	}
	s.dir = path.Clean("/" + u.Path)
	if strings.HasPrefix(u.Path, "/~/") || u.Path == "" || u.Path == "/" {
		// The directory in which the server lets the user in.
		s.dir = path.Join(".", strings.TrimPrefix(strings.TrimPrefix(u.Path, "/"), "~/"))
	}
	s.host = net.JoinHostPort(u.Hostname(), port)
	s.address = (&url.URL{Scheme: "sftp", User: url.User(u.User.Username()), Host: s.host, Path: u.Path}).String()
	s.config.User = u.User.Username()
	if o.PrivateKey != "" {
		signer, err := signer(o.PrivateKey, o.Passphrase)
		if err != nil {
			return nil, err
		}
		s.config.Auth = append(s.config.Auth, ssh.PublicKeys(signer))
	}
	if o.Password != "" {
		s.config.Auth = append(s.config.Auth, ssh.Password(o.Password), ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
			answers := make([]string, len(questions))
			for i := range answers {
				answers[i] = o.Password
			}
			return answers, nil
		}))
	}
	if len(s.config.Auth) == 0 {
		return nil, fmt.Errorf("sftp: neither password nor private_key is given: %w", parcel.ErrInvalid)
	}
	return s, s.trust(o.HostKey)
}

func signer(key, passphrase string) (ssh.Signer, error) {
	if passphrase != "" {
		s, err := ssh.ParsePrivateKeyWithPassphrase([]byte(key), []byte(passphrase))
		if err != nil {
			return nil, fmt.Errorf("private_key: it cannot be read with this passphrase: %w", parcel.ErrInvalid)
		}
		return s, nil
	}
	s, err := ssh.ParsePrivateKey([]byte(key))
	if _, missing := errors.AsType[*ssh.PassphraseMissingError](err); missing {
		return nil, fmt.Errorf("private_key: it has a passphrase; give passphrase_env or passphrase_file: %w", parcel.ErrInvalid)
	}
	if err != nil {
		return nil, fmt.Errorf("private_key: it is no private key in PEM: %w", parcel.ErrInvalid)
	}
	return s, nil
}

// trust reads the keys by which the server is known.
func (s *sftpPlace) trust(known string) error {
	prints := map[string]bool{}
	var algorithms []string
	all := true // keys are given in full, so that their kinds are known
	for line := range strings.Lines(known) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "SHA256:"):
			prints[strings.TrimRight(line, "=")], all = true, false
		default:
			key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
			if err != nil {
				// A line of known_hosts has the host before the key.
				_, rest, _ := strings.Cut(line, " ")
				key, _, _, _, err = ssh.ParseAuthorizedKey([]byte(strings.TrimSpace(rest)))
			}
			if err != nil {
				return fmt.Errorf("host_key: want a key such as ssh-ed25519 AAAA..., or its SHA256 fingerprint: %w", parcel.ErrInvalid)
			}
			prints[ssh.FingerprintSHA256(key)] = true
			algorithms = append(algorithms, algorithmsOf(key.Type())...)
		}
	}
	if len(prints) == 0 {
		return fmt.Errorf("host_key: it is missing: without it nobody knows who answers; ssh-keyscan shows it, and the carrier confirms it: %w", parcel.ErrInvalid)
	}
	if all {
		s.config.HostKeyAlgorithms = algorithms
	}
	s.config.HostKeyCallback = func(_ string, _ net.Addr, key ssh.PublicKey) error {
		if prints[ssh.FingerprintSHA256(key)] {
			return nil
		}
		return &hostKeyError{print: ssh.FingerprintSHA256(key)}
	}
	return nil
}

// algorithmsOf are those in which a server proves a key of a type; RSA with
// SHA-1 is none of them.
func algorithmsOf(keyType string) []string {
	if keyType == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{keyType}
}

// hostKeyError is a server that shows another key.
type hostKeyError struct{ print string }

func (e *hostKeyError) Error() string {
	return "the server's key is " + e.print + ", which is not the host_key of the configuration: either somebody else answers, or the key was changed; ask the carrier before you change host_key"
}

type sftpPlace struct {
	address, host, dir string
	config             ssh.ClientConfig
	wall               clock.Clock
}

// Address implements Place.
func (s *sftpPlace) Address() string { return s.address }

func (s *sftpPlace) open(ctx context.Context) (folder, error) {
	dialling, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(dialling, "tcp", s.host)
	if err != nil {
		if ctxErr := ctx.Err(); ctxErr != nil {
			return nil, ctxErr
		}
		return nil, fmt.Errorf("%s cannot be reached: %w: %w", s.host, parcel.ErrUnavailable, err)
	}
	f := &sftpFolder{place: s, conn: conn}
	f.stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
	if err := f.greet(); err != nil {
		_ = f.close()
		if ctxErr := ctx.Err(); ctxErr != nil {
			return nil, ctxErr
		}
		return nil, err
	}
	return f, nil
}

type sftpFolder struct {
	place  *sftpPlace
	conn   net.Conn
	stop   func() bool
	ssh    *ssh.Client
	client *sftp.Client
}

// step gives the server its time for one step; the result takes it back. Between
// steps the line may rest: a file is read from the spool.
func (f *sftpFolder) step() func() {
	_ = f.conn.SetDeadline(f.place.wall.Now().Add(patience))
	return func() { _ = f.conn.SetDeadline(time.Time{}) }
}

func (f *sftpFolder) greet() error {
	defer f.step()()
	c, channels, requests, err := ssh.NewClientConn(f.conn, f.place.host, &f.place.config)
	if wrong, ok := errors.AsType[*hostKeyError](err); ok {
		return fmt.Errorf("%s: %w: %w", f.place.host, parcel.ErrDenied, wrong)
	}
	if err != nil {
		if strings.Contains(err.Error(), "unable to authenticate") {
			return fmt.Errorf("%s does not let %s in: look at password and private_key: %w", f.place.host, f.place.config.User, parcel.ErrDenied)
		}
		return fmt.Errorf("%s: handshake: %w: %w", f.place.host, parcel.ErrUnavailable, err)
	}
	f.ssh = ssh.NewClient(c, channels, requests)
	if f.client, err = sftp.NewClient(f.ssh); err != nil {
		return fmt.Errorf("%s serves no SFTP: %w: %w", f.place.host, parcel.ErrUnavailable, err)
	}
	return nil
}

func (f *sftpFolder) list(ctx context.Context) ([]entry, error) {
	defer f.step()()
	infos, err := f.client.ReadDirContext(ctx, f.place.dir)
	if err != nil {
		return nil, f.fault("list "+f.place.dir, err)
	}
	out := make([]entry, len(infos))
	for i, info := range infos {
		out[i] = entryOf(info)
	}
	return out, nil
}

// fault words what the server refused or the line lost.
func (f *sftpFolder) fault(what string, err error) error {
	kind := parcel.ErrUnavailable
	if errors.Is(err, fs.ErrPermission) {
		kind = parcel.ErrDenied
	}
	return fmt.Errorf("%s: %s: %w: %w", f.place.host, what, kind, err)
}

func (f *sftpFolder) at(name string) string { return path.Join(f.place.dir, name) }

func (f *sftpFolder) stat(name string) (entry, error) {
	defer f.step()()
	info, err := f.client.Lstat(f.at(name))
	if err != nil {
		return entry{}, f.fault(name, err)
	}
	e := entryOf(info)
	e.name = name
	return e, nil
}

func (f *sftpFolder) fetch(ctx context.Context, name string, to io.Writer) error {
	if e, err := f.stat(name); err != nil || !e.regular {
		return errors.Join(err, notRegular(name, err))
	}
	file, err := f.openFile(name)
	if err != nil {
		return err
	}
	defer func() {
		defer f.step()()
		_ = file.Close()
	}()
	// Each piece has its own time. A piece is read by many requests at once.
	done := func() {}
	err = copyFile(ctx, to, file, func() { done(); done = f.step() })
	done()
	if err != nil && ctx.Err() == nil {
		return f.fault(name, err)
	}
	return errors.Join(ctx.Err(), err)
}

func (f *sftpFolder) openFile(name string) (*sftp.File, error) {
	defer f.step()()
	file, err := f.client.Open(f.at(name))
	if err != nil {
		return nil, f.fault(name, err)
	}
	return file, nil
}

func (f *sftpFolder) move(name, into, other string) error {
	defer f.step()()
	folder := path.Join(f.place.dir, into)
	if err := f.client.MkdirAll(folder); err != nil {
		return f.fault("make "+folder, err)
	}
	to := path.Join(folder, name)
	if _, err := f.client.Lstat(to); err == nil {
		to = path.Join(folder, other)
	}
	if err := f.client.Rename(f.at(name), to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return f.fault("move "+name+" to "+to, err)
	}
	return nil
}

func (f *sftpFolder) remove(name string) error {
	defer f.step()()
	if err := f.client.Remove(f.at(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return f.fault("delete "+name, err)
	}
	return nil
}

func (f *sftpFolder) close() error {
	f.stop()
	// The line is cut, whatever state it is in: there is nothing left to say.
	err := f.conn.Close()
	if f.client != nil {
		_ = f.client.Close()
	}
	if f.ssh != nil {
		_ = f.ssh.Close()
	}
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
