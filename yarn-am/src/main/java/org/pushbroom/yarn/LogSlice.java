package org.pushbroom.yarn;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Takes some bytes of a log file out of what YARN makes of it, a NodeManager as well as the readers of aggregated logs:
 * a header that ends with {@code LogContents:}, the contents, and a footer (LogToolUtils of Hadoop 3.4). If a size is
 * asked for, the contents are that many bytes from the beginning or, if it is negative, from the end.
 */
final class LogSlice extends OutputStream {
  private static final byte[] END_OF_HEADER = "LogContents:\n".getBytes(StandardCharsets.UTF_8);
  private static final Pattern LENGTH = Pattern.compile("^LogLength:(\\d{1,18})$", Pattern.MULTILINE);
  private static final int MAX_HEADER = 16 * 1024;

  private final long asked;
  private final long offset;
  private final int limit;
  private final ByteArrayOutputStream header = new ByteArrayOutputStream();
  private final ByteArrayOutputStream taken = new ByteArrayOutputStream();

  /** How many of its last bytes are the last ones of a header's end. */
  private int matched;

  /** Of the file; negative until it is known. */
  private long length = -1;

  private long position;
  private long end;

  /**
   * @param asked the size that YARN is asked for
   * @param offset of the first byte that is wanted, in the file
   * @param limit bytes
   */
  LogSlice(long asked, long offset, int limit) {
    this.asked = asked;
    this.offset = offset;
    this.limit = limit;
  }

  @Override
  public void write(int value) throws IOException {
    write(new byte[] {(byte) value}, 0, 1);
  }

  @Override
  public void write(byte[] bytes, int from, int count) throws IOException {
    int at = from;
    while (length < 0 && at < from + count) readHeader(bytes[at++]);
    if (length < 0) return;
    int contents = (int) Math.min(from + count - at, end - position);
    int skipped = (int) Math.min(contents, Math.max(0, offset - position));
    int wanted = Math.min(contents - skipped, limit - taken.size());
    taken.write(bytes, at + skipped, wanted);
    position += contents;
  }

  /** Bytes of the whole file. */
  long length() throws IOException {
    if (length < 0) throw new IOException("the answer is not that of a log file");
    return length;
  }

  /** Whether what is wanted was cut off at its beginning, because the file has grown since its length was known. */
  boolean isLate() throws IOException {
    return start() > offset;
  }

  byte[] bytes() throws IOException {
    length();
    return taken.toByteArray();
  }

  private void readHeader(byte value) throws IOException {
    header.write(value);
    matched = value == END_OF_HEADER[matched] ? matched + 1 : value == END_OF_HEADER[0] ? 1 : 0;
    if (matched < END_OF_HEADER.length) {
      if (header.size() > MAX_HEADER) length();
      return;
    }
    Matcher matcher = LENGTH.matcher(header.toString(StandardCharsets.UTF_8));
    if (matcher.find()) length = Long.parseLong(matcher.group(1));
    position = start();
    end = asked < 0 ? length : Math.min(length, asked);
  }

  /** Where in the file the contents begin. */
  private long start() throws IOException {
    return asked < 0 ? Math.max(0, length() + asked) : 0;
  }
}
