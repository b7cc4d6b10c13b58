package org.pushbroom.yarn;

import com.google.gson.JsonObject;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.function.Consumer;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * The way to the service from a container, in the protocol's second form. Whatever fails is tried again until the
 * service accepts it, however long that takes, in the same order; only an answer 410 is the end.
 */
final class ServiceLink implements EventSink {
  private static final Duration CONNECT = Duration.ofSeconds(10);
  /** Longer than a service holds a poll. */
  private static final Duration ANSWER = Duration.ofSeconds(90);
  private static final long FIRST_PAUSE_MS = 250;
  private static final long LONGEST_PAUSE_MS = 15_000;
  /** Of one post. */
  private static final int MAX_CHARACTERS = 4 << 20;
  private static final int GONE = 410;

  private final HttpClient client;
  private final String url;
  private final String secret;
  private final int master;

  /** In their order, as lines; accepted ones are removed. */
  private final Deque<String> unsent = new ArrayDeque<>();

  private long sequence;
  private boolean isLast;

  /**
   * @param url of the application at the service, without a query
   * @param secret said with each request
   * @param authorities PEM; null for the authorities that Java knows
   * @param master the number of this application attempt: a greater one has taken over from a lesser
   */
  ServiceLink(String url, String secret, String authorities, int master) throws IOException, GeneralSecurityException {
    this.url = url;
    this.secret = secret;
    this.master = master;
    HttpClient.Builder builder = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(CONNECT);
    if (authorities != null) builder.sslContext(trusting(authorities));
    client = builder.build();
  }

  /** The service does not know this master, or not any more. */
  static final class Gone extends Exception {
    private static final long serialVersionUID = 1L;
  }

  @Override
  public synchronized void tell(JsonObject event) {
    event.addProperty("sequence", ++sequence);
    unsent.add(event.toString());
    if (event.get("event").getAsString().equals("closed")) isLast = true;
    notifyAll();
  }

  /** Hands orders over as they come, until the service does not want this master any more. */
  void takeOrders(Consumer<String> orders) throws Gone, InterruptedException {
    long after = 0;
    while (true) {
      HttpRequest.Builder request = request("/orders?master=" + master + "&after=" + after).GET();
      for (String line : send(request).split("\n")) {
        if (line.isBlank()) continue;
        long number = number(line);
        // Given again, because the answer of the poll before was lost.
        if (number != 0 && number <= after) continue;
        orders.accept(line);
        after = Math.max(after, number);
      }
    }
  }

  /** Posts events, until the application is closed and that is told. */
  void postEvents() throws Gone, InterruptedException {
    while (true) {
      StringBuilder lines = new StringBuilder();
      int count = take(lines);
      if (count == 0) return;
      HttpRequest.Builder request = request("/events?master=" + master);
      send(request.POST(HttpRequest.BodyPublishers.ofString(lines.toString())));
      drop(count);
    }
  }

  /** Waits for events. @return how many it has taken; 0 after the last one */
  private synchronized int take(StringBuilder lines) throws InterruptedException {
    while (unsent.isEmpty() && !isLast) wait();
    int count = 0;
    for (String line : unsent) {
      if (count > 0 && lines.length() + line.length() > MAX_CHARACTERS) break;
      lines.append(line).append('\n');
      count++;
    }
    return count;
  }

  private synchronized void drop(int count) {
    for (int i = 0; i < count; i++) unsent.remove();
  }

  private HttpRequest.Builder request(String path) {
    return HttpRequest.newBuilder(URI.create(url + path))
        .timeout(ANSWER)
        .header("Authorization", "Bearer " + secret)
        .header("Content-Type", "application/jsonl");
  }

  private String send(HttpRequest.Builder builder) throws Gone, InterruptedException {
    HttpRequest request = builder.build();
    long pause = FIRST_PAUSE_MS;
    while (true) {
      String trouble;
      try {
        HttpResponse<String> response =
            client.send(request, HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8));
        if (response.statusCode() / 100 == 2) return response.body();
        if (response.statusCode() == GONE) throw new Gone();
        trouble = "status " + response.statusCode();
      } catch (IOException unreachable) {
        trouble = unreachable.toString();
      }
      if (pause == FIRST_PAUSE_MS) System.err.println("pushbroom-yarn-am: the service is away: " + trouble);
      Thread.sleep(pause);
      pause = Math.min(LONGEST_PAUSE_MS, 2 * pause);
    }
  }

  /** Of an order; 0 if it has none, and then it is nothing that we can count. */
  private static long number(String line) {
    try {
      return Fields.parse(line).number("sequence", 1, Fields.MAX_SAFE_INTEGER);
    } catch (OrderException without) {
      return 0;
    }
  }

  private static SSLContext trusting(String authorities) throws IOException, GeneralSecurityException {
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null, null);
    int count = 0;
    byte[] pem = authorities.getBytes(StandardCharsets.US_ASCII);
    for (Certificate one : CertificateFactory.getInstance("X.509").generateCertificates(new ByteArrayInputStream(pem))) {
      store.setCertificateEntry("authority-" + count++, one);
    }
    TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    factory.init(store);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, factory.getTrustManagers(), null);
    return context;
  }
}
