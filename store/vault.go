package store

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"os"
	"sync"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"vendue/exchange"
)

// The key file: a line that names it, then the keys and their xxhash64 in
// hexadecimal. A key with one wrong bit would make every id look forged and
// every person look new, so the file says whether it is whole.
const (
	keysMagic     = "vendue keys 1\n"
	sealKeyBytes  = 32
	printKeyBytes = 32
	idKeyBytes    = 16
	keysBytes     = sealKeyBytes + printKeyBytes + idKeyBytes
)

var errUnseal = errors.New("cannot unseal: it was damaged, or sealed under another key")

// IDKey returns the key of the house's ids, for exchange.NewMinter.
func (s *Store) IDKey() []byte { return bytes.Clone(s.idKey) }

// Vault returns the vault under the keys of the data directory.
func (s *Store) Vault() exchange.Vault { return s.vault }

// loadKeys reads the keys, or makes them if there is no journal yet. A journal
// without its keys is refused: new ones could not unseal what it holds.
func (s *Store) loadKeys() error {
	path := s.path(keysFile)
	info, err := s.fs.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return s.makeKeys(path)
	}
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); s.onDisk() && mode&0o077 != 0 {
		return fmt.Errorf("the key file %q has mode %04o: expected 0600, readable by its owner alone", path, mode)
	}
	raw, err := readFile(s.fs, path)
	if err != nil {
		return err
	}
	body, ok := bytes.CutPrefix(raw, []byte(keysMagic))
	keys, err := hex.DecodeString(string(bytes.TrimSpace(body)))
	if !ok || err != nil || len(keys) != keysBytes+recordSumBytes ||
		binary.LittleEndian.Uint64(keys[keysBytes:]) != xxhash.Sum64(keys[:keysBytes]) {
		return fmt.Errorf("the key file %q is damaged: restore it from a backup", path)
	}
	return s.useKeys(keys[:keysBytes])
}

func (s *Store) makeKeys(path string) error {
	desc, err := pebble.Peek(s.path(journalDir), s.fs)
	if err != nil {
		return err
	}
	if desc.Exists || s.readOnly {
		return fmt.Errorf("the key file %q is missing: restore it from a backup", path)
	}
	keys := make([]byte, keysBytes)
	_, _ = rand.Read(keys) // it never fails
	sum := binary.LittleEndian.AppendUint64(nil, xxhash.Sum64(keys))
	text := fmt.Sprintf("%s%x%x\n", keysMagic, keys, sum)
	if err := s.writeFile(path, true, []byte(text)); err != nil {
		return fmt.Errorf("cannot write the key file: %w", err)
	}
	return s.useKeys(keys)
}

func (s *Store) useKeys(keys []byte) (err error) {
	s.vault, err = newVault(keys[:sealKeyBytes], keys[sealKeyBytes:sealKeyBytes+printKeyBytes])
	s.idKey = bytes.Clone(keys[sealKeyBytes+printKeyBytes:])
	return err
}

// onDisk tells whether files have modes: a memory disk has none.
func (s *Store) onDisk() bool { return vfs.Root(s.fs) == vfs.Default }

// hide makes a file readable by its owner alone.
func (s *Store) hide(path string) error {
	if !s.onDisk() {
		return nil
	}
	return os.Chmod(path, 0o600)
}

// vault seals with AES-256-GCM under a key derived from half of a 24-byte random
// nonce (the XAES-256-GCM construction). Plain GCM's 12 random bytes are safe for
// some four billion texts under one key, which a busy house passes within a year
// or two.
//
// A few texts in a row share the first half and so the derived key; the other
// half is random for each, and far from any bound for so few. A key of each
// text's own cost as much as the whole sealing.
//
// It is safe for concurrent use.
type vault struct {
	block   cipher.Block // of the sealing key
	mask    [aes.BlockSize]byte
	macs    sync.Pool // of *printer
	sealers sync.Pool // of *sealer
}

// sealer is one derived key and the texts that may still be sealed with it.
type sealer struct {
	half [nonceBytes / 2]byte // of the nonce, which the key is derived from
	aead cipher.AEAD
	left int
}

// sealerTexts is how many texts are sealed with one derived key.
const sealerTexts = 1024

const (
	nonceBytes = 24
	sealedMin  = nonceBytes + 16
)

// printer is one HMAC with its scratch.
type printer struct {
	mac hash.Hash
	buf []byte
}

func newVault(sealKey, printKey []byte) (*vault, error) {
	block, err := aes.NewCipher(sealKey)
	if err != nil {
		return nil, fmt.Errorf("cannot use the sealing key: %w", err)
	}
	v := &vault{block: block}
	// CMAC's first subkey: the zero block encrypted, doubled in GF(2^128).
	block.Encrypt(v.mask[:], v.mask[:])
	carry := v.mask[0] >> 7
	for i := range v.mask {
		v.mask[i] <<= 1
		if i+1 < len(v.mask) {
			v.mask[i] |= v.mask[i+1] >> 7
		}
	}
	v.mask[len(v.mask)-1] ^= carry * 0x87
	printKey = bytes.Clone(printKey)
	v.macs.New = func() any { return &printer{mac: hmac.New(sha256.New, printKey)} }
	v.sealers.New = func() any { return new(sealer) }
	return v, nil
}

// derive returns the cipher of one nonce's first half.
func (v *vault) derive(nonce []byte) (cipher.AEAD, error) {
	var key [2 * aes.BlockSize]byte
	for i := range 2 {
		part := key[i*aes.BlockSize : (i+1)*aes.BlockSize]
		part[1], part[2] = byte(i+1), 'X'
		copy(part[4:], nonce[:12])
		for j := range part {
			part[j] ^= v.mask[j]
		}
		v.block.Encrypt(part, part)
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// Seal encrypts text: a 24-byte nonce, then the ciphertext with its tag.
func (v *vault) Seal(text string) exchange.Sealed {
	if text == "" {
		return nil
	}
	s := v.sealers.Get().(*sealer)
	defer v.sealers.Put(s)
	if s.left == 0 {
		v.renew(s)
	}
	s.left--
	out := make([]byte, nonceBytes, sealedMin+len(text))
	nonce := out[copy(out, s.half[:]):]
	_, _ = rand.Read(nonce) // it never fails
	plain := append(out, text...)[nonceBytes:]
	return s.aead.Seal(out, nonce, plain, nil) // in place
}

// renew gives a sealer another key.
func (v *vault) renew(s *sealer) {
	_, _ = rand.Read(s.half[:]) // it never fails
	aead, err := v.derive(s.half[:])
	if err != nil {
		panic("BUG: a derived key has the wrong size: " + err.Error())
	}
	s.aead, s.left = aead, sealerTexts
}

// Unseal returns what Seal was given.
func (v *vault) Unseal(sealed exchange.Sealed) (string, error) {
	if len(sealed) == 0 {
		return "", nil
	}
	if len(sealed) < sealedMin {
		return "", errUnseal
	}
	aead, err := v.derive(sealed)
	if err != nil {
		return "", errUnseal
	}
	text, err := aead.Open(nil, sealed[12:nonceBytes], sealed[nonceBytes:], nil)
	if err != nil {
		return "", errUnseal
	}
	return string(text), nil
}

// Fingerprint is the first half of an HMAC-SHA256 over the parts, each after its length.
func (v *vault) Fingerprint(parts ...string) (f exchange.Fingerprint) {
	p := v.macs.Get().(*printer)
	defer v.macs.Put(p)
	p.buf = p.buf[:0]
	for _, part := range parts {
		p.buf = append(binary.BigEndian.AppendUint64(p.buf, uint64(len(part))), part...)
	}
	p.mac.Reset()
	_, _ = p.mac.Write(p.buf)
	// What was hashed is personal, and the sum takes its place in the scratch.
	clear(p.buf)
	p.buf = p.mac.Sum(p.buf[:0])
	copy(f[:], p.buf)
	return f
}
