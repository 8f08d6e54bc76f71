package io.dohle.internal;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Locale;

/**
 * Finds the native part for this platform in the jar ({@code natives/<os>-<arch>/}) and loads it.
 *
 * <p>It is extracted, under the hash of its contents, to a folder that only this user may write, and once for all programs.
 * The system property {@code io.dohle.library} names a file to load in its place.
 */
final class NativeLibrary {
    static final String OVERRIDE = "io.dohle.library";

    private NativeLibrary() {}

    static void load() {
        String given = System.getProperty(OVERRIDE);
        if (given != null) {
            loadFile(Path.of(given).toAbsolutePath());
            return;
        }
        String platform = platform(System.getProperty("os.name"), System.getProperty("os.arch"));
        String resource = "/natives/" + platform + "/" + System.mapLibraryName("dohle_java");
        byte[] contents = contents(resource, platform);
        Path file;
        try {
            file = extracted(contents);
        } catch (IOException cause) {
            throw new UncheckedIOException("the native part of dohle cannot be extracted: set java.io.tmpdir to a folder that"
                    + " this user may write, or " + OVERRIDE + " to the library's file", cause);
        }
        try {
            loadFile(file);
        } catch (UnsatisfiedLinkError error) {
            // A JVM lets one class loader have a file. Another one (an application server's) gets a copy of its own.
            if (error.getMessage() == null || !error.getMessage().contains("another classloader")) {
                throw error;
            }
            loadFile(copied(contents));
        }
    }

    private static void loadFile(Path file) {
        try {
            System.load(file.toString());
        } catch (UnsatisfiedLinkError error) {
            if (error.getMessage() != null && error.getMessage().contains("another classloader")) {
                throw error;
            }
            UnsatisfiedLinkError clear = new UnsatisfiedLinkError("the native part of dohle cannot be loaded from " + file
                    + " (is its folder mounted noexec? set java.io.tmpdir or " + OVERRIDE + "): " + error.getMessage());
            clear.initCause(error);
            throw clear;
        }
    }

    private static byte[] contents(String resource, String platform) {
        try (InputStream in = NativeLibrary.class.getResourceAsStream(resource)) {
            if (in == null) {
                throw new UnsatisfiedLinkError("this jar of dohle has no native part for " + platform + " (" + resource
                        + "): take a jar that has it, or set the system property " + OVERRIDE + " to the library's file");
            }
            return in.readAllBytes();
        } catch (IOException cause) {
            throw new UncheckedIOException("the native part of dohle cannot be read from the jar", cause);
        }
    }

    /** Node's names: {@code linux-x64}, {@code darwin-arm64}, {@code win32-x64}; {@code linux-musl-x64} where there is no glibc. */
    static String platform(String os, String arch) {
        String name = os.toLowerCase(Locale.ROOT);
        String system = name.startsWith("mac") ? "darwin" : name.startsWith("win") ? "win32" : name.replace(' ', '-');
        if (system.equals("linux") && Files.exists(Path.of("/lib/ld-musl-" + machine(arch) + ".so.1"))) {
            system = "linux-musl";
        }
        String processor =
                switch (machine(arch)) {
                    case "x86_64" -> "x64";
                    case "aarch64" -> "arm64";
                    default -> arch;
                };
        return system + "-" + processor;
    }

    private static String machine(String arch) {
        return arch.equals("amd64") ? "x86_64" : arch.equals("arm64") ? "aarch64" : arch;
    }

    /** The file with these contents; made when it is not there, or is not what it should be. */
    private static Path extracted(byte[] contents) throws IOException {
        String name = hash(contents).substring(0, 32) + "-" + System.mapLibraryName("dohle_java");
        Path file = folder().resolve(name);
        if (Files.isRegularFile(file) && hash(Files.readAllBytes(file)).equals(hash(contents))) {
            return file;
        }
        Path made = Files.createTempFile(folder(), "new-", ".tmp");
        try {
            Files.write(made, contents);
            try {
                Files.move(made, file, StandardCopyOption.ATOMIC_MOVE);
            } catch (FileAlreadyExistsException | AtomicMoveNotSupportedException other) {
                Files.move(made, file, StandardCopyOption.REPLACE_EXISTING);
            }
        } finally {
            Files.deleteIfExists(made);
        }
        return file;
    }

    private static Path copied(byte[] contents) {
        try {
            Path file = Files.createTempFile(folder(), "copy-", System.mapLibraryName("dohle_java"));
            file.toFile().deleteOnExit();
            return Files.write(file, contents);
        } catch (IOException cause) {
            throw new UncheckedIOException("the native part of dohle cannot be copied", cause);
        }
    }

    /** A folder of this user's: nobody else can put a library there. */
    private static Path folder() throws IOException {
        Path folder = Path.of(System.getProperty("java.io.tmpdir"), "dohle-" + System.getProperty("user.name"));
        boolean posix = folder.getFileSystem().supportedFileAttributeViews().contains("posix");
        try {
            if (posix) {
                var own = PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"));
                return Files.createDirectory(folder, own);
            }
            return Files.createDirectory(folder);
        } catch (FileAlreadyExistsException there) {
            boolean safe = Files.isDirectory(folder, java.nio.file.LinkOption.NOFOLLOW_LINKS)
                    && (!posix
                            || Files.getOwner(folder).getName().equals(System.getProperty("user.name"))
                                    && Files.getPosixFilePermissions(folder).size() == 3);
            return safe ? folder : Files.createTempDirectory("dohle-");
        }
    }

    private static String hash(byte[] contents) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(contents));
        } catch (NoSuchAlgorithmException impossible) {
            throw new IllegalStateException(impossible);
        }
    }
}
