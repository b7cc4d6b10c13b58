package org.pushbroom.yarn;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.ByteArrayOutputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.URL;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.Set;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.security.UserGroupInformation;
import org.apache.hadoop.security.authentication.client.AuthenticatedURL;
import org.apache.hadoop.security.authentication.client.AuthenticationException;
import org.apache.hadoop.security.authentication.client.ConnectionConfigurator;
import org.apache.hadoop.security.ssl.SSLFactory;
import org.apache.hadoop.yarn.conf.YarnConfiguration;
import org.apache.hadoop.yarn.webapp.util.WebAppUtils;

/** The web service of NodeManagers (YARN documentation, "NodeManager REST APIs"), by http or https as configured. */
final class NodeWeb {
  private static final int PATIENCE_MS = 3_000;
  private static final int MAX_STATE = 1 << 20;
  private static final Set<String> OVER = Set.of("DONE", "COMPLETE", "EXITED_WITH_SUCCESS", "EXITED_WITH_FAILURE");

  private final String scheme;
  private final ConnectionConfigurator connections;

  NodeWeb(Configuration configuration) throws IOException, GeneralSecurityException {
    scheme = WebAppUtils.getHttpSchemePrefix(configuration);
    SSLFactory tls = null;
    if (YarnConfiguration.useHttps(configuration)) {
      tls = new SSLFactory(SSLFactory.Mode.CLIENT, configuration);
      tls.init();
    }
    SSLFactory configured = tls;
    connections =
        connection -> {
          connection.setConnectTimeout(PATIENCE_MS);
          connection.setReadTimeout(PATIENCE_MS);
          connection.setInstanceFollowRedirects(false);
          return configured == null ? connection : configured.configure(connection);
        };
  }

  /**
   * Reads part of a file in a container's log directory.
   *
   * @param size as the web service takes it: so many bytes, from the end if negative
   * @throws FileNotFoundException if the node does not have it, or not any more
   */
  void readLog(String nodeHttp, String container, String file, long size, LogSlice into) throws IOException {
    get(nodeHttp, "containers/" + encode(container) + "/logs/" + encode(file) + "?size=" + size, into);
  }

  /** What a node says of a container. */
  static final class State {
    final boolean isOver;
    final int exitStatus;
    final String diagnostics;

    State(boolean isOver, int exitStatus, String diagnostics) {
      this.isOver = isOver;
      this.exitStatus = exitStatus;
      this.diagnostics = diagnostics;
    }
  }

  /** @throws FileNotFoundException if the node does not know it, or not any more */
  State state(Held held) throws IOException {
    ByteArrayOutputStream answer = new ByteArrayOutputStream();
    get(held.nodeHttp, "containers/" + encode(held.id.toString()), answer);
    try {
      JsonObject container =
          JsonParser.parseString(answer.toString(StandardCharsets.UTF_8)).getAsJsonObject().getAsJsonObject("container");
      boolean isOver = OVER.contains(container.get("state").getAsString());
      int exitStatus = container.has("exitCode") ? container.get("exitCode").getAsInt() : ExitStatus.UNKNOWN;
      String diagnostics = container.has("diagnostics") ? container.get("diagnostics").getAsString() : "";
      return new State(isOver, exitStatus, diagnostics);
    } catch (RuntimeException garbage) {
      throw new IOException("the NodeManager " + held.nodeHttp + " has given an answer that is not that of a container");
    }
  }

  private void get(String nodeHttp, String path, OutputStream into) throws IOException {
    HttpURLConnection connection = open(new URL(scheme + nodeHttp + "/ws/v1/node/" + path));
    connection.setRequestProperty("Accept", path.contains("/logs/") ? "text/plain" : "application/json");
    int status = connection.getResponseCode();
    if (status == HttpURLConnection.HTTP_NOT_FOUND || status / 100 == 3) {
      throw new FileNotFoundException("not on the node " + nodeHttp);
    }
    if (status != HttpURLConnection.HTTP_OK) {
      throw new IOException("the NodeManager " + nodeHttp + " answers with status " + status);
    }
    try (InputStream body = connection.getInputStream()) {
      copy(body, into);
    }
  }

  /** A container's log is taken from by {@link LogSlice}, which knows its limit; of anything else so much is garbage. */
  private static void copy(InputStream from, OutputStream into) throws IOException {
    byte[] buffer = new byte[64 * 1024];
    long total = 0;
    for (int count = from.read(buffer); count >= 0; count = from.read(buffer)) {
      into.write(buffer, 0, count);
      total += count;
      if (total > MAX_STATE && !(into instanceof LogSlice)) throw new IOException("the answer is too long");
    }
  }

  private HttpURLConnection open(URL url) throws IOException {
    if (!UserGroupInformation.isSecurityEnabled()) {
      return connections.configure((HttpURLConnection) url.openConnection());
    }
    try {
      AuthenticatedURL authenticated = new AuthenticatedURL(null, connections);
      return UserGroupInformation.getLoginUser()
          .doAs(
              (java.security.PrivilegedExceptionAction<HttpURLConnection>)
                  () -> authenticated.openConnection(url, new AuthenticatedURL.Token()));
    } catch (InterruptedException ending) {
      Thread.currentThread().interrupt();
      throw new IOException(ending);
    } catch (java.lang.reflect.UndeclaredThrowableException wrapped) {
      if (wrapped.getCause() instanceof AuthenticationException) throw new IOException(wrapped.getCause());
      throw wrapped;
    }
  }

  private static String encode(String text) {
    return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
  }
}
