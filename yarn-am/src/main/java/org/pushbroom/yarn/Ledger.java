package org.pushbroom.yarn;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.security.token.Token;
import org.apache.hadoop.yarn.api.records.ApplicationId;
import org.apache.hadoop.yarn.security.AMRMTokenIdentifier;

/**
 * What the next program needs to take over an application, in a directory of its own that nobody else may read:
 *
 * <ul>
 *   <li>{@code token}: gives the right to be the application's master. YARN hands it out before the first registration
 *       only.
 *   <li>{@code <container>}: whose request a container answers and where it runs. Of a container that has ended YARN
 *       tells neither.
 *   <li>{@code <container>.ended}: what has just been told of its end, in case that nobody has read it.
 * </ul>
 */
final class Ledger {
  private static final String TOKEN = "token";
  private static final String ENDED = ".ended";
  /** After that a service that lives has read what it was told. */
  private static final long UNREAD_SECONDS = 60;

  private static final FileAttribute<Set<PosixFilePermission>> OWN_DIRECTORY = only("rwx------");
  private static final FileAttribute<Set<PosixFilePermission>> OWN_FILE = only("rw-------");

  private final Path directory;
  private final Deque<Told> told = new ArrayDeque<>();

  Ledger(Path state, ApplicationId application) throws IOException {
    directory = state.resolve(application.toString());
    Files.createDirectories(directory, OWN_DIRECTORY);
  }

  void saveToken(Token<?> token) throws IOException {
    write(TOKEN, token.encodeToUrlString());
  }

  /** @return null if there is none */
  Token<AMRMTokenIdentifier> readToken() throws IOException {
    try {
      Token<AMRMTokenIdentifier> token = new Token<>();
      token.decodeFromUrlString(Files.readString(directory.resolve(TOKEN)).trim());
      return token;
    } catch (NoSuchFileException never) {
      return null;
    }
  }

  void hold(Held held) throws IOException {
    write(held.id.toString(), held.toJson(new JsonObject()).toString());
  }

  /** @param event null if there is nothing to tell */
  synchronized void end(Held held, JsonObject event) throws IOException {
    Path file = directory.resolve(held.id.toString());
    if (event != null) {
      write(held.id + ENDED, event.toString());
      told.add(new Told(directory.resolve(held.id + ENDED)));
    }
    Files.deleteIfExists(file);
    long now = System.nanoTime();
    while (!told.isEmpty() && now - told.peek().at > TimeUnit.SECONDS.toNanos(UNREAD_SECONDS)) {
      Files.deleteIfExists(told.remove().file);
    }
  }

  /** Containers that an earlier program held when it died. What can't be read is left out. */
  List<Held> held() throws IOException {
    List<Held> all = new ArrayList<>();
    for (Path file : files("container_*")) {
      if (file.toString().endsWith(ENDED)) continue;
      try {
        all.add(Held.of(Fields.parse(Files.readString(file))));
      } catch (OrderException | IOException torn) {
        Files.deleteIfExists(file);
      }
    }
    return all;
  }

  /** Events that an earlier program told shortly before it died, once. */
  List<JsonObject> takeTold() throws IOException {
    List<JsonObject> all = new ArrayList<>();
    for (Path file : files("container_*" + ENDED)) {
      try {
        all.add(JsonParser.parseString(Files.readString(file)).getAsJsonObject());
      } catch (RuntimeException torn) {
        // Has been told, after all.
      }
      Files.deleteIfExists(file);
    }
    return all;
  }

  /** The application is over. */
  void remove() throws IOException {
    for (Path file : files("*")) Files.deleteIfExists(file);
    Files.deleteIfExists(directory);
  }

  private List<Path> files(String pattern) throws IOException {
    List<Path> all = new ArrayList<>();
    try (DirectoryStream<Path> stream = Files.newDirectoryStream(directory, pattern)) {
      stream.forEach(all::add);
    }
    return all;
  }

  /** Atomically, and readable for nobody else from the beginning. */
  private void write(String name, String text) throws IOException {
    Path part = directory.resolve("." + name + ".part");
    Files.deleteIfExists(part);
    Files.createFile(part, OWN_FILE);
    Files.write(part, text.getBytes(StandardCharsets.UTF_8));
    Files.move(part, directory.resolve(name), StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  private static FileAttribute<Set<PosixFilePermission>> only(String permissions) {
    return PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString(permissions));
  }

  private static final class Told {
    final long at = System.nanoTime();
    final Path file;

    Told(Path file) {
      this.file = file;
    }
  }
}
