import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.channels.SocketChannel;
import java.util.Objects;
import javax.net.SocketFactory;
import org.apache.hadoop.conf.Configurable;
import org.apache.hadoop.conf.Configuration;

/**
 * Daemons call from their own addresses (the property pushbroom.address), and not all from 127.0.0.1 as the kernel would
 * have it: so the NameNode tells DataNodes apart, and what is written by way of one has its first copy there.
 */
public final class BoundSocketFactory extends SocketFactory implements Configurable {
  private Configuration conf;
  private String address;

  @Override
  public void setConf(Configuration conf) {
    this.conf = conf;
    address = conf.get("pushbroom.address");
  }

  @Override
  public Configuration getConf() {
    return conf;
  }

  @Override
  public Socket createSocket() throws IOException {
    Socket socket = SocketChannel.open().socket();
    if (address != null) socket.bind(new InetSocketAddress(address, 0));
    return socket;
  }

  private Socket connected(InetSocketAddress remote) throws IOException {
    Socket socket = createSocket();
    socket.connect(remote);
    return socket;
  }

  @Override
  public Socket createSocket(String host, int port) throws IOException {
    return connected(new InetSocketAddress(host, port));
  }

  @Override
  public Socket createSocket(InetAddress host, int port) throws IOException {
    return connected(new InetSocketAddress(host, port));
  }

  @Override
  public Socket createSocket(String host, int port, InetAddress local, int localPort)
      throws IOException {
    return createSocket(host, port);
  }

  @Override
  public Socket createSocket(InetAddress host, int port, InetAddress local, int localPort)
      throws IOException {
    return createSocket(host, port);
  }

  /** Connections are shared between equals. */
  @Override
  public boolean equals(Object other) {
    return other instanceof BoundSocketFactory
        && Objects.equals(address, ((BoundSocketFactory) other).address);
  }

  @Override
  public int hashCode() {
    return Objects.hashCode(address);
  }
}
