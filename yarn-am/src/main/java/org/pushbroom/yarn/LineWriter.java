package org.pushbroom.yarn;

import com.google.gson.JsonObject;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.LinkedBlockingQueue;

/**
 * Writes events as lines, on a thread of its own, flushed when nothing more waits. What waits is not limited here: a
 * service that does not read gives no orders either, and all that is told follows from orders.
 */
final class LineWriter implements EventSink {
  private final LinkedBlockingQueue<JsonObject> waiting = new LinkedBlockingQueue<>();
  private final OutputStream output;

  LineWriter(OutputStream output) {
    this.output = new BufferedOutputStream(output, 64 * 1024);
    Thread thread = new Thread(this::write, "events");
    thread.setDaemon(true);
    thread.start();
  }

  @Override
  public void tell(JsonObject event) {
    waiting.add(event);
  }

  private void write() {
    List<JsonObject> batch = new ArrayList<>();
    try {
      while (true) {
        batch.add(waiting.take());
        waiting.drainTo(batch);
        for (JsonObject event : batch) {
          output.write(event.toString().getBytes(StandardCharsets.UTF_8));
          output.write('\n');
        }
        output.flush();
        batch.clear();
      }
    } catch (IOException | InterruptedException gone) {
      // Nobody reads any more: stdin ends, too, and with it the program.
    }
  }
}
